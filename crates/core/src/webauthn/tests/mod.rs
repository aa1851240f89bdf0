//! Tests of whole ceremonies: each check on its own, the W3C's test vectors, and another author's authenticator.

mod authenticator;
mod checks;
mod support;
mod vectors;
