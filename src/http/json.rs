//! Bodies of JSON.

use serde::de::DeserializeOwned;

use super::invalid;
use crate::error::ApiError;

const NOT_AN_OBJECT: &str = "The body must be a JSON object.";

pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // A struct would also be read from an array of its members' values.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid(NOT_AN_OBJECT));
    }
    serde_json::from_slice(body).map_err(|error| ApiError::InvalidRequest(explain(&error)))
}

/// What is wrong with a body that is not there: which member is missing.
///
/// Never read as an empty object: a page of any origin can have its browser send a request without a body, without being asked.
pub(super) fn missing<T: DeserializeOwned>() -> ApiError {
    json::<T>(b"{}").err().unwrap_or_else(|| invalid(NOT_AN_OBJECT))
}

/// What is wrong with a body, in our words and the names of our members: nothing of the input is repeated. It goes by
/// the wording of serde's errors, which a test pins; where that changes, the answer gets vaguer and no more.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!("line {}, column {}", error.line(), error.column());
    let quoted = |marker: &str| text.strip_prefix(marker).and_then(|rest| rest.split('`').nth(1));
    let expected = || text.rsplit_once("expected ").map(|(_, rest)| rest).and_then(|rest| rest.rsplit_once(" at line"));
    if !error.is_data() {
        format!("The body is not valid JSON: {position}.")
    } else if let Some(member) = quoted("missing field") {
        format!("The member {member} is missing.")
    } else if let Some(member) = quoted("duplicate field") {
        format!("The member {member} stands twice: {position}.")
    } else if text.starts_with("unknown field") {
        let known = expected().map_or("", |(known, _)| known).replace('`', "").replace("one of ", "");
        format!("A member is unknown: {position}. Known are: {known}.")
    } else {
        let wanted = expected().map_or("another type", |(wanted, _)| wanted).replace('`', "");
        format!("A member has the wrong type: {position}. Expected is {wanted}.")
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::{json, missing};
    use crate::error::ApiError;

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
            ("{\"email\":\"\\ud800\"}", "The body is not valid JSON: line 1, column 17."),
            ("{}", "The member email is missing."),
            ("{\"email\":\"a\",\"email\":\"b\"}", "The member email stands twice: line 1, column 20."),
            ("{\"evil`, expected x\":1}", "A member is unknown: line 1, column 20. Known are: email or name."),
            ("{\"email\":{\"$ne\":\"\"}}", "A member has the wrong type: line 1, column 9. Expected is a string."),
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
