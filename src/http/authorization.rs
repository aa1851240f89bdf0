//! The credentials of the `Authorization` header.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::error::RequestError;
use super::header::members;

/// Maximum size of an access token, in bytes: more than any of ours, with metadata and many roles.
const MAX_BEARER_BYTES: usize = 8 * 1024;
/// Maximum size of the credentials of a client, in bytes: several times the size of any that we make.
const MAX_BASIC_BYTES: usize = 1024;

/// A credential of another scheme is none (RFC 6750 §3.1), and neither is the scheme without a token.
pub(super) fn bearer(authorization: Option<&str>) -> Result<&str, RequestError> {
    let credentials = authorization.unwrap_or_default();
    if are_several(credentials) {
        return Err(RequestError::SeveralCredentials);
    }
    let (scheme, token) = credentials.split_once(' ').unwrap_or((credentials, ""));
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("Bearer") || token.is_empty() {
        return Err(RequestError::MissingToken);
    }
    let unpadded = token.trim_end_matches('=');
    let is_b64token = unpadded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
    if token.len() > MAX_BEARER_BYTES || unpadded.is_empty() || !is_b64token {
        return Err(RequestError::InvalidToken);
    }
    Ok(token)
}

/// Whether a client authenticates, or tries to: whether there is anything but an access token, valid or not.
pub(super) fn is_of_client(authorization: &str) -> bool {
    let scheme = authorization.split(' ').next().unwrap_or_default();
    let is_bearer = scheme.eq_ignore_ascii_case("Bearer") && !are_several(authorization);
    !authorization.is_empty() && !is_bearer
}

/// Whether this came as several headers. One alone may have commas too, but between parameters, `name=value` (RFC 9110 §11.4).
fn are_several(credentials: &str) -> bool {
    let mut parts = members(credentials).map(str::trim).filter(|part| !part.is_empty());
    parts.next().is_some() && !parts.all(is_parameter)
}

fn is_parameter(part: &str) -> bool {
    part.split_once('=').is_some_and(|(name, value)| {
        let (name, value) = (name.trim_end(), value.trim_start());
        !name.is_empty() && !name.contains(' ') && !value.is_empty() && !value.starts_with('=')
    })
}

pub(super) fn basic(credentials: &str) -> Option<(String, String)> {
    let (scheme, encoded) = credentials.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") || encoded.len() > MAX_BASIC_BYTES {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim_matches(' ')).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((form_decoded(id)?, form_decoded(secret)?))
}

/// One value out of a form; `None` if there is more than one in it.
fn form_decoded(value: &str) -> Option<String> {
    if value.contains(['&', '=']) {
        return None;
    }
    let decoded = url::form_urlencoded::parse(value.as_bytes()).next();
    Some(decoded.map_or_else(String::new, |(decoded, _)| decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{RequestError, basic, bearer, is_of_client};

    #[test]
    fn a_bearer_token_is_taken_in_any_case_of_the_scheme() {
        for header in ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER  a.b-c_d~e+f/g=="] {
            assert_eq!(bearer(Some(header)).unwrap(), "a.b-c_d~e+f/g==");
        }
    }

    #[test]
    fn basic_credentials_are_form_urlencoded_within() {
        // RFC 6749 §2.3.1's own example.
        let read = |header| basic(header).map(|(id, secret)| format!("{id} {secret}"));
        let example = "s6BhdRkqt3 7Fjfp0ZBr1KtDRbnfVdmIw";
        assert_eq!(read("Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3").as_deref(), Some(example));
        for (header, expected) in [
            ("basic YTpi", Some("a b")),
            ("Basic  YTpi", Some("a b")),
            ("Basic YTo=", Some("a ")),
            ("Basic OmI=", Some(" b")),
            ("Basic YTpiOmM=", Some("a b:c")),
            // "a%2Db:c%5F%2b+d", as strict clients encode hyphens and underscores.
            ("Basic YSUyRGI6YyU1RiUyYitk", Some("a-b c_+ d")),
            ("Basic YTpiJmM=", None),
            ("Basic YTpiPWM=", None),
            ("Basic YTo", None),
            ("Basic YWI=", None),
            ("Basic YTr/", None),
            ("Basic", None),
            ("Basic ", None),
            ("Basic YTpi, Basic YTpi", None),
            ("Bearer YTpi", None),
            ("BasicYTpi", None),
        ] {
            assert_eq!(read(header).as_deref(), expected, "{header}");
        }
        assert_eq!(basic(&format!("Basic {}", "YTpi".repeat(300))), None);
    }

    #[test]
    fn anything_else_is_missing_or_invalid_or_more_than_one() {
        for header in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("bearer  "),
            Some("Bearer,"),
            Some("Bearerx"),
            Some("Basic YTpi"),
            Some("Digest username=\"a, Bearer b\", realm = \"b\", uri=/me"),
        ] {
            assert!(matches!(bearer(header), Err(RequestError::MissingToken)), "{header:?}");
        }
        for header in [
            "Bearer a, Bearer b",
            "Bearer a,Bearer b",
            "Bearer a, b",
            "Bearer a, Bearer",
            "Bearer, Bearer a",
            "Bearer a, Basic YTpi",
            "Bearer a, Basic YTpi==",
            "Basic YTpi, Bearer a",
            "Basic YTpi, Basic YTpi",
            "Digest username=\"a\", realm=\"b\", Bearer a",
            "a, b",
        ] {
            assert!(matches!(bearer(Some(header)), Err(RequestError::SeveralCredentials)), "{header}");
        }
        let long = format!("Bearer {}", "a".repeat(8193));
        for header in [
            "Bearer a b",
            "Bearer a,",
            "Bearer a, realm=\"x\"",
            "Bearer \ta",
            "Bearer a=b",
            "Bearer ==",
            "Bearer \u{e4}",
            "Bearer {}",
            &long,
        ] {
            assert!(matches!(bearer(Some(header)), Err(RequestError::InvalidToken)), "{header}");
        }
    }

    #[test]
    fn an_access_token_authenticates_no_client_and_everything_else_tries_to() {
        for header in ["", "Bearer", "Bearer a", "bearer a b", "Bearer null", "Bearer a,"] {
            assert!(!is_of_client(header), "{header}");
        }
        for header in ["Basic YTpi", "Basic", "DPoP a", "a", "Bearerx", "Bearer a, Basic YTpi", "Bearer a, Bearer b"] {
            assert!(is_of_client(header), "{header}");
        }
    }
}
