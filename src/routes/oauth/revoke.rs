//! `POST /revoke`: ends the session of a token (RFC 7009).

use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request, RequestError};
use crate::routes::error::ApiError;
use crate::sessions::end::end_by_token;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    token: String,
    /// Ignored, as RFC 7009 §2.1 allows: the form of a token shows its type.
    #[serde(rename = "token_type_hint")]
    _token_type_hint: Option<String>,
}

pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json_or_form(|mut parameters| {
        let token = parameters
            .remove("token")
            .ok_or_else(|| RequestError::Invalid("The parameter token is missing.".to_owned()))?;
        Ok(Body { token, _token_type_hint: parameters.remove("token_type_hint") })
    })?;
    if body.token.is_empty() {
        return Err(ApiError::InvalidRequest("The parameter token is empty.".to_owned()));
    }
    end_by_token(context, request, &body.token).await?;
    Ok(Reply::new(200))
}
