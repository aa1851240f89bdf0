//! Error bodies.

use ::http::StatusCode;
use serde::Serialize;

use super::response::Reply;
use portcullis_core::id::Id;

/// How an endpoint formats its errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorFormat {
    /// RFC 9457.
    Problem,
    /// RFC 6749 §5.2, for the OAuth endpoints.
    OAuth,
}

/// An error for a client.
pub struct ErrorBody<'a> {
    /// The status.
    pub status: u16,
    /// The stable code, for programs. In an OAuth body, a code of RFC 6749 §5.2.
    pub code: &'static str,
    /// The explanation, for developers.
    pub detail: &'a str,
    /// The id of the request in the log.
    pub request_id: Id,
    /// The token with which a sign-in goes on.
    pub mfa_token: Option<&'a str>,
    /// The members that complete the sign-in.
    pub methods: Vec<&'static str>,
}

/// An error (RFC 9457).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Problem"))]
pub struct ProblemBody<'a> {
    /// Always `about:blank`: `code` distinguishes the errors.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["about:blank"])))]
    r#type: &'static str,
    /// The reason phrase of the status.
    title: &'static str,
    /// The status of the response.
    #[cfg_attr(feature = "openapi", schemars(range(min = 400, max = 599)))]
    status: u16,
    /// The error, for programs. It is stable.
    code: &'static str,
    /// What to do differently, for developers. It is not stable.
    detail: &'a str,
    /// The id of the request, which is in the log too.
    request_id: Id,
    /// If a sign-in needs a further proof: the token with which it goes on. Otherwise omitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_token: Option<&'a str>,
    /// With `mfa_required`: the members of `POST /login/mfa` of which one is needed. Otherwise omitted.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    methods: &'a [&'static str],
}

/// An error of an OAuth endpoint (RFC 6749 §5.2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "OAuthError"))]
pub struct OAuthBody<'a> {
    /// The error, for programs.
    error: &'static str,
    /// What to do differently, for developers. It is not stable.
    error_description: &'a str,
    /// The id of the request, which is in the log too.
    request_id: Id,
}

impl ErrorBody<'_> {
    /// The reply in the given format.
    pub fn reply(&self, format: ErrorFormat) -> Reply {
        let &Self { status, code, detail, request_id, mfa_token, ref methods } = self;
        let (content_type, body) = match format {
            ErrorFormat::Problem => {
                let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
                let title = title.unwrap_or("Error");
                let body =
                    ProblemBody { r#type: "about:blank", title, status, code, detail, request_id, mfa_token, methods };
                ("application/problem+json", serde_json::to_string(&body))
            }
            ErrorFormat::OAuth => {
                let body = OAuthBody { error: code, error_description: detail, request_id };
                ("application/json", serde_json::to_string(&body))
            }
        };
        // Plain text always serializes, so the reply without a body is never used.
        body.map_or_else(|_| Reply::new(status), |body| Reply::new(status).body(content_type, body))
    }
}
