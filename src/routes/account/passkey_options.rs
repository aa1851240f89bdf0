//! `POST /me/passkeys/options`: the options to add a passkey, or to confirm the session with one.

use portcullis_core::webauthn::MAX_CREDENTIALS;
use portcullis_core::webauthn::challenge::PasskeyPurpose;
use portcullis_core::webauthn::options::{CreationOptions, CredentialDescriptor, RequestOptions, UserEntity};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::factors::passkey::{creation_options, request_options};
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Tag};
use crate::routes::sign_in::passkey_options::PublicKey;
use crate::sessions::bearer::caller;
use crate::sessions::enrolment::enroller;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PasskeyOptionsRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// What the passkey is for. The default is `registration`.
    r#for: Option<Use>,
}

/// What a passkey is for.
#[derive(Deserialize, Clone, Copy)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PasskeyUse"))]
#[serde(rename_all = "snake_case")]
enum Use {
    /// To add it: `POST /me/passkeys`.
    Registration,
    /// To confirm the session: `POST /me/step-up`.
    StepUp,
}

/// Options of either kind.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PasskeyOptions"))]
#[serde(untagged)]
enum Options {
    /// To add a passkey.
    Creation(Box<CreationOptions>),
    /// To confirm the session.
    Request(RequestOptions),
}

/// Anybody who is logged in may confirm the session. To add a passkey needs what adding it needs, so that no authenticator keeps a passkey
/// that is refused then.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    // The token is checked before the body is refused.
    let body: Result<Body, _> = request.json();
    if matches!(body, Ok(Body { r#for: Some(Use::StepUp) })) {
        let caller = caller(context, request).await?;
        let purpose = PasskeyPurpose::StepUp { user_id: caller.user_id, session_id: caller.session_id };
        let public_key = Options::Request(request_options(context, purpose)?);
        return Reply::json(200, &PublicKey { public_key });
    }
    let enroller = enroller(context, request).await?;
    body?;
    let user = enroller.user();
    let passkeys = context.store.list_passkeys(user.id).await?;
    if passkeys.len() >= MAX_CREDENTIALS {
        return Err(ApiError::TooManyPasskeys);
    }
    let exclude = passkeys
        .into_iter()
        .filter_map(|passkey| Some(CredentialDescriptor::new(passkey.credential_id()?, passkey.transports)));
    let entity =
        UserEntity { id: user.id, name: user.email.clone(), display_name: user.name.clone().unwrap_or_default() };
    let purpose = PasskeyPurpose::Register { user_id: user.id, session_id: enroller.id() };
    let options = creation_options(context, purpose, entity, exclude.collect())?;
    Reply::json(200, &PublicKey { public_key: Options::Creation(Box::new(options)) })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use crate::routes::openapi::Success;
    use crate::routes::sign_in::register_passkey_options;
    let public_key = Options::Creation(Box::new(register_passkey_options::example_options()));
    operation
        .named(
            Tag::Account,
            "getMyPasskeyOptions",
            "Get the options to add a passkey or to authenticate again",
            "The options for `navigator.credentials.create()`, or with `for`: `step_up` those for `navigator.credentials.get()`.",
        )
        .with_enroller()
        .json::<Body>(&serde_json::json!({"for": "registration"}))
        .succeeds(Success::json(200, "The options.", &PublicKey { public_key }))
        .fails(ApiError::TooManyPasskeys)
}
