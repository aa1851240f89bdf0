//! The syntax of HTTP headers that several programs read.

/// Splits a list header at its commas, except those in quotes. Runtimes join several headers of one name with commas.
pub fn members(header: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    header.split(move |character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
}

/// Whether the value of `Authorization` joins several headers. A single header has commas only between parameters, `name=value`
/// (RFC 9110 §11.4).
#[must_use]
pub fn has_several_credentials(authorization: &str) -> bool {
    let mut parts = members(authorization).map(str::trim).filter(|part| !part.is_empty());
    parts.next().is_some() && !parts.all(is_parameter)
}

fn is_parameter(part: &str) -> bool {
    part.split_once('=').is_some_and(|(name, value)| {
        let (name, value) = (name.trim_end(), value.trim_start());
        !name.is_empty() && !name.contains(' ') && !value.is_empty() && !value.starts_with('=')
    })
}

#[cfg(test)]
mod tests {
    use super::{has_several_credentials, members};

    #[test]
    fn a_comma_in_quotes_separates_nothing() {
        assert_eq!(members("a, b;x=\"c,d\",e").map(str::trim).collect::<Vec<_>>(), ["a", "b;x=\"c,d\"", "e"]);
    }

    #[test]
    fn commas_between_parameters_are_those_of_one_header() {
        for header in ["", "Bearer a", "Bearer,", "Digest username=\"a, Bearer b\", realm = \"b\", uri=/me"] {
            assert!(!has_several_credentials(header), "{header}");
        }
        for header in ["Bearer a, Bearer b", "Bearer a,b", "Bearer, Bearer a", "Basic YTpi, Bearer a==", "a, b"] {
            assert!(has_several_credentials(header), "{header}");
        }
    }
}
