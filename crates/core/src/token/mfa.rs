//! The `mfa_token` of a sign-in that needs a further proof. It is a sealed text ([`super::sealed`]) that names the row of the sign-in:
//!
//! ```text
//! pcmf_ || base64url( id(16) || tag(16) )
//! ```
//!
//! It is no credential: without a further proof it begins no session.

use super::sealed::{Kind, SealingKeys};
use crate::id::Id;

/// The kind of sealed text.
pub const MFA_TOKEN: Kind = Kind { label: "portcullis mfa token v1", prefix: "pcmf_", field_lens: &[Id::LEN] };

/// Encodes the token of a sign-in.
#[must_use]
pub fn encode(id: Id, keys: &SealingKeys) -> String {
    keys.seal(&[id.as_bytes()])
}

/// The id of the sign-in; `None` if the token is not genuine.
#[must_use]
pub fn parse(token: &str, keys: &SealingKeys) -> Option<Id> {
    keys.open(token).and_then(|bytes| bytes.try_into().ok()).map(Id::new)
}

#[cfg(test)]
mod tests {
    use super::{MFA_TOKEN, encode, parse};
    use crate::id::Id;
    use crate::token::device::DEVICE_TOKEN;
    use crate::token::sealed::SealingSecrets;
    use crate::token::sealed::tests::{SECRET_A, SECRET_B};

    #[test]
    fn a_token_names_its_sign_in_and_no_other_text_does() {
        let secrets = SealingSecrets::parse(SECRET_A).unwrap();
        let keys = secrets.keys(MFA_TOKEN).unwrap();
        let id = Id::new([7; 16]);
        let token = encode(id, &keys);
        assert_eq!(parse(&token, &keys), Some(id));
        let other = SealingSecrets::parse(SECRET_B).unwrap().keys(MFA_TOKEN).unwrap();
        assert_eq!(parse(&token, &other), None);
        assert_eq!(parse(&token.replace("pcmf_", DEVICE_TOKEN.prefix), &keys), None);
        assert_eq!(parse("", &keys), None);
    }
}
