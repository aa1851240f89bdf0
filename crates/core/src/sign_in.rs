//! What it takes to sign in.

/// A way to prove who one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// A password, verified or set in this request.
    Password,
}

impl Method {
    /// Its value in `amr` (RFC 8176).
    #[must_use]
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Password => "pwd",
        }
    }
}

/// What comes next for somebody who has proved something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextStep {
    /// A session begins.
    Begin {
        /// What it records of its authentication: values of `amr`, separated by spaces.
        amr: String,
    },
    /// Nothing that suffices has been proved.
    NeedsProof,
}

/// Decides what comes next after these proofs of one sign-in.
#[must_use]
pub fn next_step(proofs: &[Method]) -> NextStep {
    if !proofs.contains(&Method::Password) {
        return NextStep::NeedsProof;
    }
    let amr: Vec<_> = proofs.iter().map(|method| method.amr()).collect();
    NextStep::Begin { amr: amr.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::{Method, NextStep, next_step};

    #[test]
    fn a_password_suffices_and_nothing_does_not() {
        assert_eq!(next_step(&[Method::Password]), NextStep::Begin { amr: "pwd".to_owned() });
        assert_eq!(next_step(&[]), NextStep::NeedsProof);
    }
}
