//! What users prove themselves by.

pub mod hashing_queue;
pub mod password;
