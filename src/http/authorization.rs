//! Credentials in the `Authorization` header.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::error::RequestError;
use portcullis_core::header::has_several_credentials;

/// Maximum size of an access token, in bytes. Issued tokens are smaller, also with metadata and many roles.
const MAX_BEARER_BYTES: usize = 8 * 1024;
/// Maximum size of client credentials, in bytes. Generated ones are several times smaller.
const MAX_BASIC_BYTES: usize = 1024;

/// The bearer token. Credentials of another scheme, and the scheme alone, count as missing (RFC 6750 §3.1).
pub(super) fn bearer(authorization: Option<&str>) -> Result<&str, RequestError> {
    let credentials = authorization.unwrap_or_default();
    if has_several_credentials(credentials) {
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

/// Whether the header holds anything but an access token, which means that the client tries to authenticate.
pub(super) fn is_client_authentication(authorization: &str) -> bool {
    let scheme = authorization.split(' ').next().unwrap_or_default();
    let is_bearer = scheme.eq_ignore_ascii_case("Bearer") && !has_several_credentials(authorization);
    !authorization.is_empty() && !is_bearer
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

/// Decodes one form-urlencoded value; `None` if it holds more than one.
fn form_decoded(value: &str) -> Option<String> {
    if value.contains(['&', '=']) {
        return None;
    }
    let decoded = url::form_urlencoded::parse(value.as_bytes()).next();
    Some(decoded.map_or_else(String::new, |(decoded, _)| decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{RequestError, basic, bearer, is_client_authentication};

    #[test]
    fn the_bearer_scheme_is_case_insensitive() {
        for header in ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g==", "BEARER  a.b-c_d~e+f/g=="] {
            assert_eq!(bearer(Some(header)).unwrap(), "a.b-c_d~e+f/g==");
        }
    }

    #[test]
    fn basic_credentials_are_form_urlencoded() {
        // The example of RFC 6749 §2.3.1.
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
    fn missing_invalid_and_repeated_credentials_are_distinguished() {
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
    fn everything_except_an_access_token_counts_as_client_authentication() {
        for header in ["", "Bearer", "Bearer a", "bearer a b", "Bearer null", "Bearer a,"] {
            assert!(!is_client_authentication(header), "{header}");
        }
        for header in ["Basic YTpi", "Basic", "DPoP a", "a", "Bearerx", "Bearer a, Basic YTpi", "Bearer a, Bearer b"] {
            assert!(is_client_authentication(header), "{header}");
        }
    }
}
