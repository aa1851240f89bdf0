//! Media types.

use super::header::members;

pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

/// RFC 7396. The same as JSON here: what `null` means is up to the route.
const MERGE_PATCH: &str = "application/merge-patch+json";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MediaType {
    Json,
    MergePatch,
    Form,
}

/// The type of a body; `None` for any other, and for several at once. Parameters are ignored, `charset` too: JSON is UTF-8
/// whatever it says (RFC 8259 §11), and the type of forms has none.
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

/// Whether an `Accept` header names HTML, without ruling it out by a weight of zero (RFC 9110 §12.5.1).
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
    fn html_is_accepted_where_it_is_named_with_a_weight() {
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
    fn a_body_has_one_of_the_three_types_whatever_its_parameters() {
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
