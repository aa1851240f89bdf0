//! Turnstile: the judgement of an answer of its siteverify API.

use serde::Deserialize;

/// The action of registrations, which the widget of the page names too.
pub const REGISTER: &str = "register";
/// Error codes that say nothing about the token.
const NOT_OF_TOKEN: [&str; 4] = ["missing-input-secret", "invalid-input-secret", "bad-request", "internal-error"];

#[derive(Deserialize)]
struct Answer {
    success: bool,
    hostname: Option<String>,
    action: Option<String>,
    #[serde(rename = "error-codes", default)]
    error_codes: Vec<String>,
}

/// The judgement of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The token is valid for this action at one of the hosts.
    Passed,
    /// The token is not valid.
    Failed,
    /// The answer says nothing about the token.
    Unusable,
}

/// Judges the body of an answer. `hostnames`: the hosts whose pages may get tokens.
#[must_use]
pub fn judge(body: &[u8], hostnames: &[String], action: &str) -> Verdict {
    let Ok(answer) = serde_json::from_slice::<Answer>(body) else { return Verdict::Unusable };
    if !answer.success {
        let is_about_token = !answer.error_codes.iter().any(|code| NOT_OF_TOKEN.contains(&code.as_str()));
        return if is_about_token { Verdict::Failed } else { Verdict::Unusable };
    }
    let is_ours = answer.hostname.is_some_and(|host| hostnames.contains(&host));
    if is_ours && answer.action.as_deref() == Some(action) { Verdict::Passed } else { Verdict::Failed }
}

#[cfg(test)]
mod tests {
    use super::{REGISTER, Verdict, judge};

    #[test]
    fn only_a_token_of_this_action_at_these_hosts_passes() {
        for (body, verdict) in [
            (
                r#"{"success":true,"hostname":"a.example","action":"register","cdata":"","metadata":{}}"#,
                Verdict::Passed,
            ),
            (r#"{"success":true,"hostname":"b.example","action":"register"}"#, Verdict::Failed),
            (r#"{"success":true,"hostname":"a.example","action":"login"}"#, Verdict::Failed),
            (r#"{"success":true,"hostname":"a.example"}"#, Verdict::Failed),
            (r#"{"success":true,"action":"register"}"#, Verdict::Failed),
            (r#"{"success":false,"hostname":"a.example","action":"register"}"#, Verdict::Failed),
            (r#"{"success":false,"error-codes":["timeout-or-duplicate"]}"#, Verdict::Failed),
            (r#"{"success":false,"error-codes":["internal-error"]}"#, Verdict::Unusable),
            (r#"{"success":false,"error-codes":["invalid-input-secret"]}"#, Verdict::Unusable),
            (r#"{"success":"true","hostname":"a.example","action":"register"}"#, Verdict::Unusable),
            ("{}", Verdict::Unusable),
            ("<html>", Verdict::Unusable),
            ("", Verdict::Unusable),
        ] {
            assert_eq!(judge(body.as_bytes(), &["a.example".to_owned()], REGISTER), verdict, "{body}");
        }
    }
}
