//! Attestation objects: the authenticator data of a registration, with a statement about the authenticator (WebAuthn §6.5.4).

use super::cbor::Reader;
use super::refusal::PasskeyRefusal;

const EMPTY_MAP: &[u8] = &[0xa0];

/// A parsed attestation object. The statement is not parsed, since its form depends on its format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttestationObject<'a> {
    format: &'a str,
    statement: &'a [u8],
    /// The authenticator data.
    pub authenticator_data: &'a [u8],
}

/// What the statement says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attestation<'a> {
    /// Nothing.
    None,
    /// The credential signed its own registration. To be verified with its public key.
    Own {
        /// The COSE identifier of the algorithm.
        algorithm: i64,
        /// The signature, as the authenticator encodes it.
        signature: &'a [u8],
    },
}

impl<'a> AttestationObject<'a> {
    /// Parses canonical CBOR; `None` for anything else.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut cbor = Reader::new(bytes);
        if cbor.map()? != 3 {
            return None;
        }
        cbor.text_key("fmt")?;
        let format = cbor.text()?;
        cbor.text_key("attStmt")?;
        let statement = cbor.raw_map()?;
        cbor.text_key("authData")?;
        let authenticator_data = cbor.bytes()?;
        cbor.end()?;
        Some(Self { format, statement, authenticator_data })
    }

    /// Reads the statement.
    ///
    /// The options ask for none. A browser then replaces every statement, except a signature of the credential itself, which does
    /// not identify the authenticator (WebAuthn §5.1.3). So these two forms are accepted. A statement with certificates comes
    /// from a client that ignored the options, and there are no roots by which to judge it.
    ///
    /// # Errors
    /// [`PasskeyRefusal::AttestationFormat`] or [`PasskeyRefusal::AttestationStatement`].
    pub fn attestation(&self) -> Result<Attestation<'a>, PasskeyRefusal> {
        match self.format {
            "none" if self.statement == EMPTY_MAP => Ok(Attestation::None),
            "none" => Err(PasskeyRefusal::AttestationStatement),
            "packed" => self.packed(),
            _ => Err(PasskeyRefusal::AttestationFormat),
        }
    }

    /// WebAuthn §8.2, without `x5c`.
    fn packed(&self) -> Result<Attestation<'a>, PasskeyRefusal> {
        let mut cbor = Reader::new(self.statement);
        match cbor.map() {
            Some(2) => {}
            Some(3) => return Err(PasskeyRefusal::AttestationFormat),
            _ => return Err(PasskeyRefusal::AttestationStatement),
        }
        let mut read = || {
            cbor.text_key("alg")?;
            let algorithm = cbor.int()?;
            cbor.text_key("sig")?;
            Some(Attestation::Own { algorithm, signature: cbor.bytes()? })
        };
        read().ok_or(PasskeyRefusal::AttestationStatement)
    }
}

#[cfg(test)]
mod tests {
    use ciborium::{Value, cbor};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{Attestation, AttestationObject};
    use crate::webauthn::refusal::PasskeyRefusal;

    fn encode(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        bytes
    }

    fn object(format: &str, statement: &Value) -> Vec<u8> {
        let data = Value::Bytes(b"data".to_vec());
        encode(&cbor!({"fmt" => format, "attStmt" => statement, "authData" => data}).unwrap())
    }

    fn own(signature: &[u8]) -> Value {
        cbor!({"alg" => -7, "sig" => Value::Bytes(signature.to_vec())}).unwrap()
    }

    #[test]
    fn an_object_without_attestation_or_with_its_own_is_read() {
        let none = object("none", &cbor!({}).unwrap());
        let parsed = AttestationObject::parse(&none).unwrap();
        assert_eq!((parsed.authenticator_data, parsed.attestation()), (&b"data"[..], Ok(Attestation::None)));
        let packed = object("packed", &own(b"signature"));
        assert_eq!(
            AttestationObject::parse(&packed).unwrap().attestation(),
            Ok(Attestation::Own { algorithm: -7, signature: b"signature" })
        );
    }

    #[test]
    fn other_statements_are_refused() {
        let certificates = Value::Array(vec![Value::Bytes(b"certificate".to_vec())]);
        let with_certificates =
            cbor!({"alg" => -7, "sig" => Value::Bytes(vec![]), "x5c" => certificates.clone()}).unwrap();
        for (format, statement, refusal) in [
            ("none", own(b""), PasskeyRefusal::AttestationStatement),
            ("packed", cbor!({}).unwrap(), PasskeyRefusal::AttestationStatement),
            ("packed", cbor!({"alg" => -7}).unwrap(), PasskeyRefusal::AttestationStatement),
            (
                "packed",
                cbor!({"alh" => -7, "sig" => Value::Bytes(vec![])}).unwrap(),
                PasskeyRefusal::AttestationStatement,
            ),
            (
                "packed",
                cbor!({"alg" => -7, "sih" => Value::Bytes(vec![])}).unwrap(),
                PasskeyRefusal::AttestationStatement,
            ),
            ("packed", cbor!({"alg" => -7, "sig" => "text"}).unwrap(), PasskeyRefusal::AttestationStatement),
            ("packed", cbor!({"alg" => "ES256", "sig" => "text"}).unwrap(), PasskeyRefusal::AttestationStatement),
            (
                "packed",
                cbor!({"alg" => -7, "x5c" => certificates.clone()}).unwrap(),
                PasskeyRefusal::AttestationStatement,
            ),
            ("packed", with_certificates.clone(), PasskeyRefusal::AttestationFormat),
            (
                "fido-u2f",
                cbor!({"sig" => "", "x5c" => certificates.clone()}).unwrap(),
                PasskeyRefusal::AttestationFormat,
            ),
            ("apple", cbor!({"x5c" => certificates}).unwrap(), PasskeyRefusal::AttestationFormat),
            ("None", cbor!({}).unwrap(), PasskeyRefusal::AttestationFormat),
            ("", cbor!({}).unwrap(), PasskeyRefusal::AttestationFormat),
        ] {
            let bytes = object(format, &statement);
            assert_eq!(AttestationObject::parse(&bytes).unwrap().attestation(), Err(refusal), "{bytes:02x?}");
        }
    }

    #[test]
    fn other_objects_are_refused() {
        let (none, data) = (cbor!({}).unwrap(), Value::Bytes(vec![]));
        for bad in [
            cbor!({"attStmt" => none.clone(), "fmt" => "none", "authData" => data.clone()}),
            cbor!({"authData" => data.clone(), "fmt" => "none", "attStmt" => none.clone()}),
            cbor!({"fmu" => "none", "attStmt" => none.clone(), "authData" => data.clone()}),
            cbor!({"fmt" => "none", "attStmu" => none.clone(), "authData" => data.clone()}),
            cbor!({"fmt" => "none", "attStmt" => none.clone(), "authDatb" => data.clone()}),
            cbor!({"fmt" => "none", "attStmt" => none.clone()}),
            cbor!({"fmt" => "none", "attStmt" => none.clone(), "authData" => "text"}),
            cbor!({"fmt" => "none", "attStmt" => "", "authData" => data.clone()}),
            cbor!({"fmt" => 1, "attStmt" => none.clone(), "authData" => data.clone()}),
            cbor!({"fmt" => "none", "attStmt" => none.clone(), "authData" => data.clone(), "epAtt" => true}),
            cbor!(["none", none, data]),
        ] {
            let bytes = encode(&bad.unwrap());
            assert_eq!(AttestationObject::parse(&bytes), None, "{bytes:02x?}");
        }
        let good = object("none", &cbor!({}).unwrap());
        for head in [0xa2, 0xa4] {
            assert_eq!(AttestationObject::parse(&[&[head], &good[1..]].concat()), None, "another number of members");
        }
        assert_eq!(AttestationObject::parse(&[&good[..], &[0]].concat()), None);
        for end in 0..good.len() {
            assert_eq!(AttestationObject::parse(&good[..end]), None, "the first {end} bytes");
        }
    }

    proptest! {
        #[test]
        fn parsing_any_bytes_does_not_panic(bytes in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
            let _ = AttestationObject::parse(&bytes).map(|object| object.attestation());
            let mut packed = object("packed", &own(&signature));
            let attestation = Attestation::Own { algorithm: -7, signature: &signature };
            prop_assert_eq!(AttestationObject::parse(&packed).unwrap().attestation(), Ok(attestation));
            for (position, byte) in bytes.iter().enumerate().take(packed.len()) {
                packed[position] = *byte;
                let _ = AttestationObject::parse(&packed).map(|object| object.attestation());
            }
        }
    }
}
