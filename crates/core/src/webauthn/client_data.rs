//! `CollectedClientData`: what the browser says of the page and the ceremony, and the authenticator signs (WebAuthn §5.8.1).

use serde_json::Value;

use crate::strict_json;

/// The members that the checks need. Browsers add others, whose names may be new.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientData {
    /// The ceremony: `webauthn.create` or `webauthn.get`.
    pub kind: String,
    /// The challenge, in base64url.
    pub challenge: String,
    /// The origin of the page.
    pub origin: String,
    /// Whether a frame around the page is of another origin.
    pub cross_origin: bool,
    /// The origin of the outermost page, if that is another one.
    pub top_origin: Option<String>,
}

impl ClientData {
    /// Parses the JSON; `None` if it is not an object with these members, or if a name is repeated.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let mut members = strict_json::parse_object(json)?;
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (kind, challenge, origin) = (text("type")?, text("challenge")?, text("origin")?);
        let cross_origin = match members.remove("crossOrigin") {
            None => false,
            Some(Value::Bool(cross_origin)) => cross_origin,
            Some(_) => return None,
        };
        let top_origin = match members.remove("topOrigin") {
            None => None,
            Some(Value::String(origin)) => Some(origin),
            Some(_) => return None,
        };
        Some(Self { kind, challenge, origin, cross_origin, top_origin })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::ClientData;

    #[test]
    fn the_members_are_read_and_others_ignored() {
        let parsed = ClientData::parse(
            br#"{"type":"webauthn.get","challenge":"AAAA","origin":"https://a.example","crossOrigin":true,
                "topOrigin":"https://b.example","other":{"a":[1]},"tokenBinding":null}"#,
        );
        let expected = ClientData {
            kind: "webauthn.get".to_owned(),
            challenge: "AAAA".to_owned(),
            origin: "https://a.example".to_owned(),
            cross_origin: true,
            top_origin: Some("https://b.example".to_owned()),
        };
        assert_eq!(parsed, Some(expected.clone()));
        let parsed = ClientData::parse(br#"{"type":"webauthn.get","challenge":"AAAA","origin":"https://a.example"}"#);
        assert_eq!(parsed, Some(ClientData { cross_origin: false, top_origin: None, ..expected }));
    }

    #[test]
    fn missing_repeated_and_mistyped_members_are_refused() {
        for bad in [
            r#"{"challenge":"AAAA","origin":"o"}"#,
            r#"{"type":"t","origin":"o"}"#,
            r#"{"type":"t","challenge":"AAAA"}"#,
            r#"{"type":"t","type":"t","challenge":"AAAA","origin":"o"}"#,
            r#"{"type":"t","challenge":"AAAA","origin":"o","origin":"o"}"#,
            r#"{"type":"t","challenge":"AAAA","origin":"o","\u006frigin":"p"}"#,
            r#"{"type":"t","challenge":"AAAA","origin":"o","other":1,"other":2}"#,
            r#"{"type":1,"challenge":"AAAA","origin":"o"}"#,
            r#"{"type":"t","challenge":"AAAA","origin":null}"#,
            r#"{"type":"t","challenge":"AAAA","origin":"o","crossOrigin":"false"}"#,
            r#"{"type":"t","challenge":"AAAA","origin":"o","crossOrigin":null}"#,
            r#"{"type":"t","challenge":"AAAA","origin":"o","topOrigin":false}"#,
            r#"{"type":"t","challenge":"AAAA","origin":"o"} {}"#,
            "\u{feff}{\"type\":\"t\",\"challenge\":\"AAAA\",\"origin\":\"o\"}",
            r#"["t"]"#,
            "",
        ] {
            assert_eq!(ClientData::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_any_bytes_does_not_panic(bytes in any::<Vec<u8>>(), text in any::<String>()) {
            let _ = ClientData::parse(&bytes);
            let _ = ClientData::parse(format!("{{\"type\":\"{text}\",\"origin\":{text:?},\"challenge\":\"\"}}").as_bytes());
        }
    }
}
