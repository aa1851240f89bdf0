//! `POST /token`: the token endpoint of OAuth (RFC 6749 §3.2), for the one grant there is: refreshing (§6).

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
use crate::sessions::refresh::refresh;

/// What a client would authenticate with in the body (RFC 6749 §2.3.1, RFC 7521 §4.2).
pub const CREDENTIALS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// What `/refresh` does, by the same code, in the words of OAuth: every client of the standard can refresh here.
///
/// 1. The client is a public one, so it has nothing to prove itself by. A secret that is sent all the same is no proof
///    (RFC 10017 §6.3.3.1), and ignoring it would let its owner believe that it was checked. An access token is none: some
///    libraries send theirs with every request, expired or not.
/// 2. Tokens have no scope, and one that is asked for is ignored (RFC 6749 §3.3): some libraries always ask.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let parameters = request.form()?;
    let has = |name: &str| parameters.contains_key(name);
    let required = |name: &str| {
        parameters.get(name).ok_or_else(|| ApiError::InvalidRequest(format!("The parameter {name} is missing.")))
    };
    if required("grant_type")? != "refresh_token" {
        return Err(ApiError::UnsupportedGrantType);
    }
    // 1.
    match (request.has_client_authorization(), CREDENTIALS.into_iter().any(has)) {
        (false, false) => {}
        (true, false) => return Err(ApiError::UnauthenticatedClient),
        (false, true) => return Err(ApiError::InvalidClient),
        (true, true) => {
            return Err(ApiError::InvalidRequest("A client authenticates in one way, not in two.".to_owned()));
        }
    }
    if parameters.get("client_id").is_some_and(|id| *id != context.config.parties.client_id) {
        return Err(ApiError::InvalidClient);
    }
    // 2.
    Ok(refresh(context, request, required("refresh_token")?, None).await?)
}
