//! The one answer to everybody who has just proved who they are: RFC 6749 §5.1, with the session and the user.

use serde::Serialize;

use crate::http::Reply;
use crate::platform::random::random;
use crate::routes::context::Context;
use crate::routes::error::ApiError;
use crate::store::sessions::NewSession;
use portcullis_core::account::session::AMR_PASSWORD;
use portcullis_core::account::user::User;
use portcullis_core::id::{Id, Slot};
use portcullis_core::token::access::{self, AccessToken};
use portcullis_core::token::profile::{EmailClaims, Profile};
use portcullis_core::token::refresh::RefreshToken;

#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: String,
    refresh_expires_in: u64,
    session_id: Id,
    user: &'a User,
}

impl Context<'_> {
    /// Draws the first refresh token of a new session of a user in that slot.
    pub fn first_token(slot: Slot) -> Result<RefreshToken, ApiError> {
        Ok(RefreshToken::first(Id::in_slot(slot, random()?), random()?))
    }

    /// The session that a log-in or registration begins with that token.
    pub fn new_session<'a>(&self, user_id: Id, credentials_version: u64, token: &'a RefreshToken) -> NewSession<'a> {
        let expires_at = self.now.saturating_add(self.config.refresh_idle_ttl);
        let absolute_expires_at = self.now.saturating_add(self.config.session_ttl);
        let access_expires_at = self.access_expires_at(expires_at);
        NewSession {
            user_id,
            credentials_version,
            token,
            amr: AMR_PASSWORD,
            authenticated_at: self.now,
            expires_at,
            absolute_expires_at,
            access_expires_at,
        }
    }

    /// Issues an access token beside that refresh token. `session_expires_at`: the idle end, which no access token outlives.
    pub async fn token_response(
        &self,
        status: u16,
        user: &User,
        refresh_token: &RefreshToken,
        session_expires_at: u64,
    ) -> Result<Reply, ApiError> {
        let session_id = refresh_token.session_id();
        let expires_at = self.access_expires_at(session_expires_at);
        let claims = AccessToken {
            sub: user.id,
            sid: session_id,
            jti: Id::new(random()?),
            roles: user.roles.clone(),
            iat: self.now,
            exp: expires_at,
        };
        let profile = Profile {
            email: Some(EmailClaims::unverified(&user.email)),
            name: user.name.as_deref(),
            preferred_username: user.username.as_deref(),
            ..Profile::default()
        };
        let profile = profile.only(&self.config.access_token_claims);
        // There was one when the configuration was read, and time goes on.
        let key = self.config.signing_keys.active(self.now);
        let key = key.ok_or_else(|| ApiError::Internal("no signing key may sign yet".to_owned()))?;
        let signing_input = access::signing_input(&claims, profile, &self.config.parties, key)
            .map_err(|error| ApiError::Internal(error.to_string()))?;
        let signature = self.keys.sign(key, signing_input.as_bytes()).await?;
        let response = TokenResponse {
            access_token: access::complete(signing_input, &signature),
            token_type: "Bearer",
            expires_in: expires_at.saturating_sub(self.now),
            refresh_token: refresh_token.encode(&self.config.refresh_token_keys),
            refresh_expires_in: session_expires_at.saturating_sub(self.now),
            session_id,
            user,
        };
        // RFC 6749 §5.1 asks for the older header as well.
        Reply::json(status, &response).map(|reply| reply.header("Pragma", "no-cache".to_owned()))
    }

    /// The end of an access token that is issued now, in unix seconds.
    fn access_expires_at(&self, session_expires_at: u64) -> u64 {
        self.now.saturating_add(self.config.access_token_ttl).min(session_expires_at)
    }
}
