//! `POST /introspect`: the current state of a token (RFC 7662), for servers that cannot wait for it to expire.

use serde::Serialize;

use super::token::CREDENTIALS;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::log::{self, Event};
use crate::routes::error::ApiError;
use crate::sessions::{SessionError, bearer};
use portcullis_core::account::resource_server::{ClientAuthError, ResourceServer};
use portcullis_core::account::session::Session;
use portcullis_core::id::Id;
use portcullis_core::token::access::Purpose;
use portcullis_core::token::refresh::{Judgement, PREFIX, RefreshToken, judge};

/// The response for an active token (§2.2). Times in unix seconds.
#[derive(Serialize)]
struct Introspection<'a> {
    active: bool,
    /// Distinguishes access tokens, which grant access, from refresh tokens. Not in RFC 7662; other servers use the same name.
    token_use: &'static str,
    iss: &'a str,
    sub: Id,
    aud: &'a str,
    client_id: &'a str,
    iat: u64,
    exp: u64,
    sid: Id,
    #[serde(flatten)]
    access: Option<Access>,
}

/// The members that only access tokens have.
#[derive(Serialize)]
struct Access {
    token_type: &'static str,
    jti: Id,
    /// The current roles, not those in the token.
    roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

/// The response for any other token, whatever the reason.
#[derive(Serialize)]
struct Inactive {
    active: bool,
}

/// 1. Authenticate the resource server before reading the token (§2.1).
/// 2. Report a token for another audience as inactive, like an unknown one (§4).
/// 3. Introspection changes nothing: it does not rotate a refresh token, and a rotated-out one does not count as reuse.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    // 1.
    let caller = authenticate(context, request)?;
    let parameters = request.form()?;
    if CREDENTIALS.into_iter().any(|name| parameters.contains_key(name)) {
        return Err(ApiError::InvalidRequest("A client must authenticate in only one way.".to_owned()));
    }
    let token = parameters
        .get("token")
        .ok_or_else(|| ApiError::InvalidRequest("The parameter token is missing.".to_owned()))?;
    // 2.
    let is_for_caller = caller.audience == context.config.parties.audience;
    if !is_for_caller {
        log::write(context.request_id, &Event::IntrospectionRefused { reason: "other_audience" });
    }
    // 3.
    let introspection = match token.starts_with(PREFIX) {
        _ if !is_for_caller => None,
        true => refresh_token(context, token).await?,
        false => access_token(context, token).await?,
    };
    match introspection {
        Some(introspection) => Reply::json(200, &introspection),
        None => Reply::json(200, &Inactive { active: false }),
    }
}

fn authenticate<'a>(context: &'a Context<'_>, request: &Request) -> Result<&'a ResourceServer, ApiError> {
    let reason = match request.basic() {
        None => "no_credentials",
        Some((id, secret)) => match context.config.resource_servers.authenticate(&id, &secret) {
            Ok(server) => return Ok(server),
            Err(ClientAuthError::UnknownId) => "unknown_id",
            Err(ClientAuthError::WrongSecret) => "wrong_secret",
        },
    };
    log::write(context.request_id, &Event::IntrospectionRefused { reason });
    Err(ApiError::UnauthenticatedClient)
}

async fn access_token<'a>(context: &Context<'a>, text: &str) -> Result<Option<Introspection<'a>>, ApiError> {
    let token = match bearer::read(context, text, Purpose::Access).await {
        Ok(token) => token,
        Err(SessionError::AccessToken(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let session = context.store.find_session(token.sid).await?;
    let Some(session) = session.filter(|session| session.is_in_force_for(token.sub, context.now)) else {
        return Ok(None);
    };
    let access = Access {
        token_type: "Bearer",
        jti: token.jti,
        roles: session.user.roles.clone(),
        username: session.user.username.clone(),
    };
    Ok(Some(describe(context, &session, token.iat, token.exp, Some(access))))
}

async fn refresh_token<'a>(context: &Context<'a>, text: &str) -> Result<Option<Introspection<'a>>, ApiError> {
    let Some(token) = RefreshToken::parse(text, &context.config.refresh_token_keys) else { return Ok(None) };
    let Some(session) = context.store.find_session(token.session_id()).await? else { return Ok(None) };
    let Session { state, .. } = &session;
    // Only the live token is active. The grace window is only for clients that retry a refresh.
    if judge(&token, state, context.now, context.config.refresh_grace) != Judgement::Rotate {
        return Ok(None);
    }
    Ok(Some(describe(context, &session, state.rotated_at, state.expires_at, None)))
}

fn describe<'a>(
    context: &Context<'a>,
    session: &Session,
    iat: u64,
    exp: u64,
    access: Option<Access>,
) -> Introspection<'a> {
    let parties = &context.config.parties;
    Introspection {
        active: true,
        token_use: if access.is_some() { "access_token" } else { "refresh_token" },
        iss: &parties.issuer,
        sub: session.user.id,
        aud: &parties.audience,
        client_id: &parties.client_id,
        iat,
        exp,
        sid: session.id,
        access,
    }
}
