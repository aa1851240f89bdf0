//! Media types.

use portcullis_core::header::members;

pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// RFC 7396. Read like JSON; the route defines the meaning of `null`.
const MERGE_PATCH: &str = "application/merge-patch+json";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MediaType {
    Json,
    MergePatch,
    Form,
}

/// Parses a `Content-Type` header; `None` for any other type and for several types. Parameters are ignored, including `charset`: JSON
/// is always UTF-8 (RFC 8259 §11), and the media type of forms has no such parameter.
pub(super) fn media_type(header: Option<&str>) -> Option<MediaType> {
    let mut types = members(header?);
    let essence = types.next()?.split(';').next()?.trim();
    if types.next().is_some() {
        return None;
    }
    [(JSON, MediaType::Json), (MERGE_PATCH, MediaType::MergePatch), (FORM, MediaType::Form)]
        .into_iter()
        .find_map(|(name, media_type)| essence.eq_ignore_ascii_case(name).then_some(media_type))
}

/// Whether an `Accept` header names HTML with a weight above zero (RFC 9110 §12.5.1).
pub(super) fn names_html(accept: &str) -> bool {
    members(accept).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("text/html"));
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        is_html && weight.is_none_or(|weight| weight.bytes().any(|byte| matches!(byte, b'1'..=b'9')))
    })
}

#[cfg(test)]
mod tests {
    use super::{MediaType, media_type, names_html};

    #[test]
    fn html_is_accepted_if_it_is_named_with_a_weight_above_zero() {
        for accept in
            ["text/html", "Text/HTML;q=0.1", "application/json, text/html; level=1; Q=0.001", "*/*, text/html"]
        {
            assert!(names_html(accept), "{accept}");
        }
        for accept in ["", "*/*", "text/*", "text/html;q=0", "text/html; q=0.000", "text/htmlx", "a/b; x=\"text/html\""]
        {
            assert!(!names_html(accept), "{accept}");
        }
    }

    #[test]
    fn the_parameters_of_a_media_type_are_ignored() {
        for (header, expected) in [
            ("application/json", Some(MediaType::Json)),
            ("Application/JSON; Charset=\"UTF-8\"", Some(MediaType::Json)),
            ("application/json;a=b", Some(MediaType::Json)),
            ("application/x-www-form-urlencoded", Some(MediaType::Form)),
            ("application/json; charset=utf8", Some(MediaType::Json)),
            ("application/json; charset=utf-16", Some(MediaType::Json)),
            ("application/json; charset=", Some(MediaType::Json)),
            ("application/json;a=\"b,c\"", Some(MediaType::Json)),
            ("application/x-www-form-urlencoded; charset=iso-8859-1", Some(MediaType::Form)),
            ("application/merge-patch+json", Some(MediaType::MergePatch)),
            ("application/json-patch+json", None),
            ("application/json, application/json", None),
            ("application/json;a=b, text/plain", None),
            ("text/plain, application/json", None),
            ("application/jsonx", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(media_type(Some(header)), expected, "{header}");
        }
        assert_eq!(media_type(None), None);
    }
}
