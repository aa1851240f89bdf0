//! The media types of the bodies that are read here.

pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MediaType {
    Json,
    Form,
}

/// The type of a body in UTF-8; `None` for any other type, and for any other character set.
pub(super) fn media_type(header: Option<&str>) -> Option<MediaType> {
    let mut parts = header?.split(';').map(str::trim);
    let essence = parts.next()?;
    let utf8 = parts.filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    let media_type = [(JSON, MediaType::Json), (FORM, MediaType::Form)]
        .into_iter()
        .find_map(|(name, media_type)| essence.eq_ignore_ascii_case(name).then_some(media_type));
    media_type.filter(|_| utf8)
}

#[cfg(test)]
mod tests {
    use super::{MediaType, media_type};

    #[test]
    fn bodies_are_utf8_of_the_two_types() {
        for (header, expected) in [
            ("application/json", Some(MediaType::Json)),
            ("Application/JSON; Charset=\"UTF-8\"", Some(MediaType::Json)),
            ("application/json;a=b", Some(MediaType::Json)),
            ("application/x-www-form-urlencoded", Some(MediaType::Form)),
            ("application/json; charset=utf-16", None),
            ("application/json, application/json", None),
            ("application/jsonx", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(media_type(Some(header)), expected, "{header}");
        }
        assert_eq!(media_type(None), None);
    }
}
