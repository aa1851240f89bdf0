//! `POST /register/passkey/options`: the options to create an account with a passkey.

use portcullis_core::id::Id;
use portcullis_core::webauthn::challenge::PasskeyPurpose;
use portcullis_core::webauthn::options::UserEntity;
use serde::Deserialize;

#[cfg(feature = "openapi")]
use super::new_account::describe_members;
use super::new_account::{Members, NewAccount};
use super::passkey_options::PublicKey;
use super::turnstile;
use crate::context::Context;
use crate::factors::passkey::creation_options;
use crate::http::{Reply, Request};
use crate::limits;
use crate::platform::random::random;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RegisterPasskeyOptionsRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The e-mail address, at most 254 bytes. Authenticators show it as the name of the account.
    email: String,
    /// A name to log in with: 3 to 32 ASCII letters, digits, dots, underscores and hyphens.
    username: Option<String>,
    /// The name to display, at most 200 characters.
    name: Option<String>,
    /// A token of Turnstile with the action `register`. Checked if `TURNSTILE_SECRET` is set, and required from a source that registers
    /// often.
    turnstile_token: Option<String>,
}

/// The names are checked here, too, so that no authenticator keeps a passkey of an account that cannot be created. The challenge holds
/// the id of the account, so it creates one account at most.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    if !context.config.registration_open {
        return Err(ApiError::RegistrationClosed);
    }
    let body: Body = request.json()?;
    limits::credentials(context, request, &[]).await?;
    let account = NewAccount::parse(Members {
        email: &body.email,
        username: body.username.as_deref(),
        name: body.name.as_deref(),
        given_name: None,
        family_name: None,
        metadata: None,
    })?;
    turnstile::check(context, request, body.turnstile_token.as_deref()).await?;
    account.find_taken(context, request).await?;
    let id = Id::new(random()?);
    let user = UserEntity {
        id,
        name: account.email.address().to_owned(),
        display_name: account.display_name().unwrap_or_default().to_owned(),
    };
    let public_key = creation_options(context, PasskeyPurpose::NewAccount { user_id: id }, user, Vec::new())?;
    Reply::json(200, &PublicKey { public_key })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let operation = operation
        .named(
            Tag::SignIn,
            "getRegistrationPasskeyOptions",
            "Get the options to create an account with a passkey",
            "The options for `navigator.credentials.create()`. Send what the browser answers to `POST /register/passkey`.",
        )
        .json::<Body>(&serde_json::json!({"email": "ada@example.org", "name": "Ada Lovelace"}))
        .succeeds(example())
        .fails(ApiError::TurnstileRequired)
        .fails(ApiError::TurnstileFailed)
        .fails(ApiError::TurnstileUnavailable);
    describe_members(operation)
}

/// The response, for the OpenAPI document.
#[cfg(feature = "openapi")]
fn example() -> Success {
    Success::json(200, "The options.", &PublicKey { public_key: example_options() })
}

/// The options, for the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn example_options() -> portcullis_core::webauthn::options::CreationOptions {
    use super::passkey_options::EXAMPLE_CHALLENGE;
    use portcullis_core::webauthn::ceremony::RelyingParty;
    use portcullis_core::webauthn::options::CreationOptions;
    let party = RelyingParty::new("example.org".to_owned(), Vec::new());
    let user =
        UserEntity { id: Id::example(), name: "ada@example.org".to_owned(), display_name: "Ada Lovelace".to_owned() };
    let (name, challenge) = (party.id().to_owned(), EXAMPLE_CHALLENGE.to_owned());
    CreationOptions::new(&party, name, user, challenge, Vec::new())
}
