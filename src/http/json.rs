//! Bodies of JSON.

use serde::de::DeserializeOwned;

use super::invalid;
use super::mismatch::explain;
use crate::routes::error::ApiError;

const NOT_AN_OBJECT: &str = "The body must be a JSON object.";

pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // A struct would also be read from an array of its members' values.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid(NOT_AN_OBJECT));
    }
    serde_json::from_slice(body).map_err(|error| ApiError::InvalidRequest(explain::<T>(body, &error)))
}

/// What is wrong with a body that is not there: which member is missing.
///
/// Never read as an empty object: a page of any origin can have its browser send a request without a body, without being asked.
pub(super) fn missing<T: DeserializeOwned>() -> ApiError {
    json::<T>(b"{}").err().unwrap_or_else(|| invalid(NOT_AN_OBJECT))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{json, missing};
    use crate::routes::error::ApiError;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Body {
        email: String,
        name: Option<String>,
    }

    fn refusal(body: &str) -> String {
        match json::<Body>(body.as_bytes()) {
            Err(ApiError::InvalidRequest(detail)) => detail,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_of_the_right_form_is_read() {
        let body: Body = json(b" {\"email\":\"a\",\"name\":\"b\"}\n").unwrap();
        assert_eq!((body.email.as_str(), body.name.as_deref()), ("a", Some("b")));
        // What is null is as if it were not there.
        for body in [&b"{\"email\":\"a\"}"[..], b"{\"email\":\"a\",\"name\":null}"] {
            assert_eq!(json::<Body>(body).unwrap().name, None);
        }
    }

    #[test]
    fn what_does_not_fit_is_told_without_repeating_input() {
        for (body, detail) in [
            ("", "The body must be a JSON object."),
            ("[\"a\",\"b\"]", "The body must be a JSON object."),
            ("\u{feff}{\"email\":\"a\"}", "The body must be a JSON object."),
            ("{\"email\":\"a\"", "The body is not valid JSON: line 1, column 12."),
            ("{\"email\":\"a\"} x", "The body is not valid JSON: line 1, column 15."),
            ("{\"email\":\"\\ud800\"}", "The body is not valid JSON in the member email: line 1, column 17."),
            ("{}", "The member email is missing."),
            ("{\"email\":\"a\",\"email\":\"b\"}", "The member email stands twice: line 1, column 20."),
            ("{\"evil`, expected x\":1}", "A member is unknown: line 1, column 20. Known are: email, name."),
            ("{\"email\":{\"$ne\":\"\"}}", "The member email must be text, not an object."),
        ] {
            assert_eq!(refusal(body), detail, "{body}");
        }
        assert!(!refusal("{\"email\":12345}").contains("12345"));
    }

    #[test]
    fn a_body_that_is_not_there_misses_its_members_and_is_never_an_empty_object() {
        #[derive(Deserialize)]
        struct Optional {
            #[expect(dead_code, reason = "nothing is ever read into it")]
            name: Option<String>,
        }
        for (error, expected) in [
            (missing::<Body>(), "The member email is missing."),
            (missing::<Optional>(), "The body must be a JSON object."),
        ] {
            assert!(matches!(&error, ApiError::InvalidRequest(detail) if detail == expected), "{error:?}");
        }
    }
}
