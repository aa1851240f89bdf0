//! `POST /introspect`: the current state of a token (RFC 7662), for servers that cannot wait for it to expire.

use serde::Serialize;

#[cfg(feature = "openapi")]
use super::revoke::SessionTokenParameters;
use super::token::CREDENTIALS;
use crate::context::Context;
use crate::http::{Reply, Request};
use crate::limits;
use crate::log::{self, Event};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
#[cfg(feature = "openapi")]
use crate::sessions::TokenResponse;
use crate::sessions::refresh_token::open;
use crate::sessions::{SessionError, bearer};
use portcullis_core::account::resource_server::{ClientAuthError, ResourceServer};
use portcullis_core::account::session::Session;
use portcullis_core::id::Id;
use portcullis_core::sign_in::Assurance;
use portcullis_core::token::access::Purpose;
use portcullis_core::token::refresh::{Judgement, PREFIX, judge};

/// An active token (RFC 7662 §2.2). Times in unix seconds.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ActiveToken"))]
struct Introspection<'a> {
    /// Always `true`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = [true])))]
    active: bool,
    /// Distinguishes access tokens, which grant access, from refresh tokens. Not in RFC 7662; other servers use the same name.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["access_token", "refresh_token"])))]
    token_use: &'static str,
    /// The issuer.
    iss: &'a str,
    /// The id of the user.
    sub: Id,
    /// The audience.
    aud: &'a str,
    /// The client.
    client_id: &'a str,
    /// When the token was issued.
    iat: u64,
    /// When the token expires.
    exp: u64,
    /// The id of the session.
    sid: Id,
    #[serde(flatten)]
    access: Option<Access>,
}

/// The members that only access tokens have.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Access {
    /// `Bearer`, if it is an access token.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["Bearer"])))]
    token_type: &'static str,
    /// The id of the access token.
    jti: Id,
    /// The current roles, not those in the token.
    roles: Vec<String>,
    /// When the user authenticated (RFC 9470 §6.2). Omitted for tokens of older releases.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<u64>,
    /// How certain it is that the user signed in: `aal1` or `aal2`. Omitted if a mail was needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'static str>,
    /// How the user authenticated: values of RFC 8176, `email` and `recovery_code`. Omitted for tokens of older releases.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    amr: Vec<String>,
    /// The username, if the user has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

/// Any other token, whatever the reason.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "InactiveToken"))]
struct Inactive {
    /// Always `false`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = [false])))]
    active: bool,
}

/// 1. Authenticate the resource server before reading the token (§2.1).
/// 2. Report a token for another audience as inactive, like an unknown one (§4).
/// 3. Introspection changes nothing: it does not rotate a refresh token, and a rotated-out one does not count as reuse.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    // 1.
    let caller = authenticate(context, request).await?;
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
        true => refresh_token(context, request, token).await?,
        false => access_token(context, request, token).await?,
    };
    match introspection {
        Some(introspection) => Reply::json(200, &introspection),
        None => Reply::json(200, &Inactive { active: false }),
    }
}

/// Wrong ids and secrets are rate limited.
async fn authenticate<'a>(context: &'a Context<'_>, request: &Request) -> Result<&'a ResourceServer, ApiError> {
    let reason = match request.basic() {
        None => "no_credentials",
        Some((id, secret)) => match context.config.resource_servers.authenticate(&id, &secret) {
            Ok(server) => return Ok(server),
            Err(ClientAuthError::UnknownId) => "unknown_id",
            Err(ClientAuthError::WrongSecret) => "wrong_secret",
        },
    };
    log::write(context.request_id, &Event::IntrospectionRefused { reason });
    if reason != "no_credentials" {
        limits::bad_token(context, request).await?;
    }
    Err(ApiError::UnauthenticatedClient)
}

async fn access_token<'a>(
    context: &Context<'a>,
    request: &Request,
    text: &str,
) -> Result<Option<Introspection<'a>>, ApiError> {
    let token = match bearer::read(context, request, text, Purpose::Access).await {
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
        auth_time: token.auth_time,
        acr: token.assurance().map(Assurance::as_str),
        amr: token.amr,
        username: session.user.username.clone(),
    };
    Ok(Some(active(context, &session, token.iat, token.exp, Some(access))))
}

async fn refresh_token<'a>(
    context: &Context<'a>,
    request: &Request,
    text: &str,
) -> Result<Option<Introspection<'a>>, ApiError> {
    let Some(token) = open(context, request, text).await? else { return Ok(None) };
    let Some(session) = context.store.find_session(token.session_id()).await? else { return Ok(None) };
    let Session { state, .. } = &session;
    // Only the live token is active. The grace window is only for clients that retry a refresh.
    if judge(&token, state, context.now, context.config.refresh_grace) != Judgement::Rotate {
        return Ok(None);
    }
    Ok(Some(active(context, &session, state.rotated_at, state.expires_at, None)))
}

fn active<'a>(
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

/// The state of a token.
#[cfg(feature = "openapi")]
#[derive(Serialize, schemars::JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Introspection")]
enum IntrospectionResponse<'a> {
    Active(Box<Introspection<'a>>),
    #[expect(dead_code, reason = "only its schema is used")]
    Inactive(Inactive),
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let active = Introspection {
        active: true,
        token_use: "access_token",
        iss: "https://auth.example.org",
        sub: Id::example(),
        aud: "https://api.example.org",
        client_id: "first-party",
        iat: 1_796_083_200,
        exp: 1_796_084_100,
        sid: Id::example(),
        access: Some(Access {
            token_type: "Bearer",
            jti: Id::example(),
            roles: vec!["user".to_owned()],
            auth_time: Some(1_796_083_200),
            acr: Some(Assurance::Aal1.as_str()),
            amr: vec!["pwd".to_owned()],
            username: Some("ada".to_owned()),
        }),
    };
    operation
        .named(
            Tag::OAuth,
            "introspectToken",
            "Get the state of a token",
            "Whether a token is active now (RFC 7662), for servers that cannot wait for it to expire. A refresh \
             token grants no access: check that `token_use` is `access_token`.",
        )
        .with_resource_server()
        .form::<SessionTokenParameters>(serde_json::json!({"token": TokenResponse::EXAMPLE_REFRESH_TOKEN}))
        .succeeds(Success::json::<IntrospectionResponse>(
            200,
            "The state of the token.",
            &IntrospectionResponse::Active(Box::new(active)),
        ))
        .fails(ApiError::InvalidRequest("The parameter token is missing.".to_owned()))
        .uses_storage()
}
