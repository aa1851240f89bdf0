//! Query parsing.

/// Parses the parameters, in order. A plus is a plus and not a space, because e-mail addresses may contain one and no parameter
/// contains a space.
pub(super) fn parameters(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.replace('+', "%2B").as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::parameters;

    #[test]
    fn a_plus_is_not_a_space() {
        for (query, value) in [
            ("email=ada+x@example.org", "ada+x@example.org"),
            ("email=ada%2Bx%40example.org", "ada+x@example.org"),
            ("email=ada%2bx@example.org", "ada+x@example.org"),
            ("email=+", "+"),
            ("email=ada%20x", "ada x"),
            ("email", ""),
        ] {
            assert_eq!(parameters(query), [("email".to_owned(), value.to_owned())], "{query}");
        }
        let names: Vec<_> = parameters("a=1&b=2&a=3").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "b", "a"]);
        assert!(parameters("").is_empty());
    }
}
