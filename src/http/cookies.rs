//! Cookies (RFC 6265). All cookies of the Worker have the prefix `__Host-`: browsers accept them only from this host, over https.

/// Several cookies have the name. A browser sends one, so another host or a program added the others.
#[derive(Debug)]
pub struct SeveralCookies;

/// Returns the value of the cookie with that name in a `Cookie` header. Names are compared byte by byte.
pub(super) fn find<'h>(header: &'h str, name: &str) -> Result<Option<&'h str>, SeveralCookies> {
    let mut values = header.split(';').filter_map(|pair| {
        let (own, value) = pair.split_once('=')?;
        (own.trim_matches([' ', '\t']) == name).then(|| value.trim_matches([' ', '\t']))
    });
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(SeveralCookies),
    }
}

/// Returns the value of `Set-Cookie` for a cookie that scripts cannot read, and that the browser does not send with requests of other
/// sites. `max_age` is in seconds. Without it, the browser deletes the cookie when it closes; with 0, at once.
pub(super) fn set(name: &str, value: &str, max_age: Option<u64>) -> String {
    let max_age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{max_age}")
}

#[cfg(test)]
mod tests {
    use super::{find, set};

    #[test]
    fn a_cookie_is_found_by_its_exact_name() {
        for (header, expected) in [
            ("__Host-a=x", Some("x")),
            ("b=y; __Host-a=x", Some("x")),
            ("b=y;__Host-a=x;c=z", Some("x")),
            ("b=y;\t__Host-a = x\t; c", Some("x")),
            ("__Host-a=", Some("")),
            ("__Host-a=x=y", Some("x=y")),
            ("__host-a=x", None),
            ("__HOST-a=x", None),
            ("__Host-ab=x", None),
            ("a=x", None),
            ("x__Host-a=x", None),
            ("__Host-a", None),
            ("b=__Host-a=x", None),
            ("\u{a0}__Host-a=x", None),
            ("", None),
        ] {
            assert_eq!(find(header, "__Host-a").unwrap(), expected, "{header}");
        }
    }

    #[test]
    fn two_cookies_of_one_name_are_refused() {
        for header in ["__Host-a=x; __Host-a=y", "__Host-a=x; b=z; __Host-a=x", "__Host-a=; __Host-a=x"] {
            assert!(find(header, "__Host-a").is_err(), "{header}");
        }
    }

    #[test]
    fn a_cookie_ends_with_the_browser_unless_it_has_a_max_age() {
        assert_eq!(set("__Host-a", "x", None), "__Host-a=x; Path=/; Secure; HttpOnly; SameSite=Strict");
        assert_eq!(set("__Host-a", "", Some(0)), "__Host-a=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
