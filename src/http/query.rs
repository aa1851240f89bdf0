//! The query of a request.

/// Its parameters, in their order. A plus is a plus, as it is typed into `curl` and address bars, and not the space of a form:
/// none of our parameters has a space in it, and e-mail addresses have a plus.
pub(super) fn parameters(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.replace('+', "%2B").as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::parameters;

    #[test]
    fn a_plus_is_a_plus_however_it_is_spelt() {
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
