//! Token responses (RFC 6749 §5.1), with the session and the user.

use portcullis_core::account::passkey::Passkey;
use portcullis_core::account::session::{Delivery, Transport};
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::token::access::{self, AccessToken};
use portcullis_core::token::device::DeviceToken;
use portcullis_core::token::profile::{EmailClaims, Profile};
use portcullis_core::token::refresh::RefreshToken;
use serde::Serialize;

use super::{SessionError, cookie, signing_keys};
use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::password::NewPassword;
use crate::http::Reply;
use crate::platform::random::random;
use crate::store::sessions::NewSession;

/// The tokens of a session, and its user.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct TokenResponse<'a> {
    /// A JWT (RFC 9068).
    access_token: String,
    /// Always `Bearer`.
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["Bearer"])))]
    token_type: &'static str,
    /// Seconds until the access token expires.
    expires_in: u64,
    /// Valid once: each refresh replaces it. Omitted if it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// Seconds until the session expires, unless it is refreshed.
    refresh_expires_in: u64,
    /// The id of the session, which is the `sid` claim of the access token.
    session_id: Id,
    /// After a sign-in: send it with the next login of this user, for 180 days. Omitted if it is in a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<String>,
    user: &'a User,
    /// `true` if the password that was just set is in a list of passwords from data breaches; otherwise omitted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = [true])))]
    password_breached: bool,
    /// After a registration, if `EMAIL_VERIFICATION` is `optional`: send it with the code from the mail to `POST /email/verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<&'a str>,
    /// The passkey that was just added; otherwise omitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    passkey: Option<&'a Passkey>,
    /// After the first factor was added: ten recovery codes, which are shown only now. Each works once.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes: Option<&'a [String]>,
}

#[cfg(feature = "openapi")]
impl<'a> TokenResponse<'a> {
    /// The refresh token in the examples of the documentation.
    pub const EXAMPLE_REFRESH_TOKEN: &'static str =
        "pcrt_toDuD-8Qo8zotz4wV7lJOQAAAABI8MXq2b7RyF_T6SkF0MBqEyodUoraOsrEJSrTfC_fdiYohDk_1tj6mjQu7XbXqUQ";
    /// The access token in the examples of the documentation.
    const EXAMPLE_ACCESS_TOKEN: &'static str = concat!(
        "eyJhbGciOiJFUzI1NiIsImtpZCI6IkNWeWFwdmJpajF2OUtjbGVWVW16X2VNZElfWWZLb1VoUDFQN2ZGb2JETk0iLCJ0eXAiOiJh",
        "dCtqd3QifQ.",
        "eyJleHAiOjE3OTYwODQxMDAsImlhdCI6MTc5NjA4MzIwMCwiaXNzIjoiaHR0cHM6Ly9hdXRoLmV4YW1wbGUub3JnIiwic3ViIjoi",
        "T3gtYUI4UlNqdEZtOEMyYmRLZ1Q1USIsImF1ZCI6Imh0dHBzOi8vYXBpLmV4YW1wbGUub3JnIiwianRpIjoiT3gtYUI4UlNqdEZt",
        "OEMyYmRLZ1Q1USIsImNsaWVudF9pZCI6ImZpcnN0LXBhcnR5Iiwic2lkIjoiT3gtYUI4UlNqdEZtOEMyYmRLZ1Q1USIsInJvbGVz",
        "IjpbInVzZXIiXX0.",
        "gSZ9Er2yYH8bzU-To8KzMClMXCL7GYuwdZ7P53nL1mJL4wV8L6WmVuMDf13sJKbY-4dhiTCsRV0-fCdkl-r97g",
    );

    /// The response in the examples of the documentation.
    pub fn example(user: &'a User) -> Self {
        Self {
            access_token: Self::EXAMPLE_ACCESS_TOKEN.to_owned(),
            token_type: "Bearer",
            expires_in: 900,
            refresh_token: Some(Self::EXAMPLE_REFRESH_TOKEN),
            refresh_expires_in: 604_800,
            session_id: Id::example(),
            device_token: Some(
                "pcdt_toDuD-8Qo8zotz4wV7lJOQAAAAAAAAAA0z4wV7lJOV6L5xgKtoDuD-8AAFEoXq2b7RyF_T6SkF0MBqEyod".to_owned(),
            ),
            user,
            password_breached: false,
            challenge: None,
            passkey: None,
            recovery_codes: None,
        }
    }
}

/// What a token response delivers.
pub struct Delivered<'a> {
    /// The refresh token.
    pub refresh_token: &'a RefreshToken,
    /// The idle end of the session, in unix seconds. No access token outlives it.
    pub session_expires_at: u64,
    /// How the user authenticated: values of RFC 8176, separated by spaces.
    pub amr: &'a str,
    /// When the user authenticated, in unix seconds.
    pub authenticated_at: u64,
    /// How the refresh token is delivered.
    pub delivery: Delivery,
    /// After a sign-in: the new device token, and those of the request.
    pub device: Option<(&'a DeviceToken, &'a Devices)>,
    /// Whether the password was just set and is breached.
    pub is_breached: bool,
    /// The challenge of the mail that verifies the address.
    pub challenge: Option<&'a str>,
    /// The passkey that was just added.
    pub passkey: Option<Passkey>,
    /// The new recovery codes.
    pub recovery_codes: Option<&'a [String]>,
}

impl<'a> Delivered<'a> {
    /// What a sign-in delivers.
    pub fn new(session: &'a NewSession, devices: &'a Devices, device: &'a DeviceToken) -> Self {
        Self {
            refresh_token: &session.token,
            session_expires_at: session.expires_at,
            amr: &session.amr,
            authenticated_at: session.authenticated_at,
            delivery: session.delivery,
            device: Some((device, devices)),
            is_breached: false,
            challenge: None,
            passkey: None,
            recovery_codes: None,
        }
    }

    /// The same after the user set this password.
    pub fn of_new_password(self, password: &NewPassword) -> Self {
        Self { is_breached: password.is_breached, ..self }
    }
}

/// Builds a token response.
pub async fn deliver(
    context: &Context<'_>,
    status: u16,
    user: &User,
    delivered: &Delivered<'_>,
) -> Result<Reply, SessionError> {
    let Delivered {
        refresh_token,
        session_expires_at,
        amr,
        authenticated_at,
        delivery,
        device,
        is_breached,
        challenge,
        ref passkey,
        recovery_codes,
    } = *delivered;
    let config = context.config;
    let session_id = refresh_token.session_id();
    let expires_at = access_expires_at(context, session_expires_at);
    let claims = AccessToken {
        sub: user.id,
        sid: session_id,
        jti: Id::new(random()?),
        roles: user.roles.clone(),
        auth_time: Some(authenticated_at),
        amr: amr.split(' ').map(ToOwned::to_owned).collect(),
        iat: context.now,
        exp: expires_at,
    };
    let profile = Profile {
        email: Some(EmailClaims { email: &user.email, email_verified: user.email_verified }),
        name: user.name.as_deref(),
        preferred_username: user.username.as_deref(),
        given_name: user.given_name.as_deref(),
        family_name: user.family_name.as_deref(),
        app_metadata: user.app_metadata.as_ref(),
        user_metadata: user.metadata.as_ref(),
    };
    // A configuration without an active key is refused, and once a key is active, there is always an active key.
    let ring = signing_keys::for_signing(context).await;
    let key = ring.keys().active(context.now);
    let key = key.ok_or_else(|| SessionError::Internal("no signing key may sign yet".to_owned()))?;
    let signing_input = access::signing_input(&claims, profile.only(&config.access_token_claims), &config.parties, key)
        .map_err(|error| SessionError::Internal(error.to_string()))?;
    let signature = ring.sign(key, signing_input.as_bytes()).await?;
    let refresh_expires_in = session_expires_at.saturating_sub(context.now);
    let refresh_token = refresh_token.encode(&config.refresh_token_keys);
    let response = TokenResponse {
        access_token: access::complete(signing_input, &signature),
        token_type: "Bearer",
        expires_in: expires_at.saturating_sub(context.now),
        refresh_token: (delivery.transport == Transport::Body).then_some(refresh_token.as_str()),
        refresh_expires_in,
        session_id,
        device_token: device
            .filter(|_| delivery.transport == Transport::Body)
            .map(|(token, _)| token.encode(&config.device_token_keys)),
        user,
        password_breached: is_breached,
        challenge,
        passkey: passkey.as_ref(),
        recovery_codes,
    };
    // RFC 6749 §5.1 requires this header too.
    let reply = Reply::json::<SessionError>(status, &response)?.header("Pragma", "no-cache".to_owned());
    let max_age = delivery.remember.then_some(refresh_expires_in);
    Ok(match delivery.transport {
        Transport::Body => reply,
        Transport::Cookie => {
            let reply = cookie::set(reply, &refresh_token, max_age);
            match device {
                Some((token, others)) => others.set(context, reply, token),
                None => reply,
            }
        }
    })
}

/// Expiry of an access token issued now, in unix seconds.
pub fn access_expires_at(context: &Context<'_>, session_expires_at: u64) -> u64 {
    context.now.saturating_add(context.config.access_token_ttl).min(session_expires_at)
}
