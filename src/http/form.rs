//! Form bodies.

use std::collections::BTreeMap;

use super::error::{RequestError, invalid};

/// The parameters that routes read. Errors name only these, since any other name is input.
const NAMES: [&str; 9] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "grant_type",
    "refresh_token",
    "scope",
    "token",
    "token_type_hint",
];

pub(super) fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, RequestError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(body) {
        if parameters.contains_key(name.as_ref()) {
            return Err(match NAMES.into_iter().find(|own| *own == name) {
                Some(own) => RequestError::Invalid(format!("The parameter {own} is repeated.")),
                None => invalid("A parameter is repeated."),
            });
        }
        parameters.insert(name.into_owned(), value.into_owned());
    }
    parameters.retain(|_, value| !value.is_empty());
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::{RequestError, parameters};

    #[test]
    fn a_parameter_without_a_value_is_absent() {
        let read = parameters(b"token=a+b%26&scope=&client_id&x=%c3%a4").unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, [("token", "a b&"), ("x", "\u{e4}")]);
    }

    #[test]
    fn a_repeated_parameter_is_named_if_it_is_known() {
        for (body, expected) in [
            ("token=a&x=1&token=b", "The parameter token is repeated."),
            ("token=a&to%6ben=a", "The parameter token is repeated."),
            ("scope=&scope=", "The parameter scope is repeated."),
            ("c4n4ry=1&c4n4ry=2", "A parameter is repeated."),
        ] {
            let error = parameters(body.as_bytes()).unwrap_err();
            assert!(matches!(&error, RequestError::Invalid(detail) if detail == expected), "{error:?}");
        }
    }
}
