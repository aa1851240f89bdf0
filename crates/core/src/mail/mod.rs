//! E-mail: codes and links, kinds of mail and their texts, and how many mails are sent.

pub mod budget;
pub mod challenge;
mod clean;
pub mod code;
mod content;
pub mod delivery;
pub(crate) mod device;
pub mod factor;
mod html;
pub mod kind;
pub mod locale;
pub mod message;
pub mod originator;
mod texts;
pub mod webhook;
