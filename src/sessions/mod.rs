//! Sessions: how they begin, are refreshed and end, whichever way a user comes in.

mod delivery;
pub mod end;
pub mod marks;
