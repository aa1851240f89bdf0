//! The rules of signing in.

/// An authentication method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// A password, verified or set in this request.
    Password,
    /// A code from a mail.
    Email,
}

impl Method {
    /// The `amr` value (RFC 8176, which has none for mail).
    #[must_use]
    pub const fn amr(self) -> &'static str {
        match self {
            Self::Password => "pwd",
            Self::Email => "email",
        }
    }
}

/// The next step of a sign-in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextStep {
    /// A session begins.
    Begin {
        /// The authentication methods: `amr` values, separated by spaces.
        amr: String,
    },
    /// A further proof is needed.
    NeedsProof,
}

/// Decides the next step after the proofs of one sign-in.
#[must_use]
pub fn next_step(proofs: &[Method]) -> NextStep {
    if proofs.is_empty() {
        return NextStep::NeedsProof;
    }
    let amr: Vec<_> = proofs.iter().map(|method| method.amr()).collect();
    NextStep::Begin { amr: amr.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::{Method, NextStep, next_step};

    #[test]
    fn a_password_or_a_code_from_a_mail_is_sufficient() {
        assert_eq!(next_step(&[Method::Password]), NextStep::Begin { amr: "pwd".to_owned() });
        assert_eq!(next_step(&[Method::Email]), NextStep::Begin { amr: "email".to_owned() });
        assert_eq!(next_step(&[]), NextStep::NeedsProof);
    }
}
