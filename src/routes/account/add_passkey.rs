//! `POST /me/passkeys`: adds a passkey to the account of the caller.

use portcullis_core::identity::display_name::Name;
use portcullis_core::webauthn::MAX_CREDENTIALS;
use portcullis_core::webauthn::credential::RegistrationResponse;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::{passkey, recovery_code};
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::SessionError;
use crate::sessions::begin::{self, Enrolled};
use crate::sessions::cookie::NewDelivery;
use crate::sessions::enrolment::{Enroller, enroller};
use crate::store::{Denial, StoreError};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AddPasskeyRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// What the browser answered to the options of `POST /me/passkeys/options`, by `toJSON()`.
    credential: RegistrationResponse,
    /// How the user calls it, at most 200 characters. By default the name of the authenticator or of the browser.
    name: Option<String>,
}

/// 1. Check that the user may add a factor.
/// 2. Check the response of the browser (WebAuthn §7.1).
/// 3. In one transaction, insert the passkey, end every session and begin a new one with two factors, unless the account or the session
///    changed since step 1, or the passkey exists. An account without recovery codes gets them.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    // 1.
    let enroller = enroller(context, request).await?;
    let body: Body = request.json()?;
    let name = body.name.as_deref().map(Name::parse).transpose().map_err(ApiError::name("name"))?;
    let delivery = NewDelivery::renewed(context, request, enroller.delivery())?;
    // 2.
    let user_id = enroller.user().id;
    let added = passkey::add(context, request, &body.credential, (user_id, enroller.id()), name.as_ref()).await?;
    let factors = context.store.find_factors(user_id).await?;
    if usize::try_from(factors.passkeys).unwrap_or(usize::MAX) >= MAX_CREDENTIALS {
        return Err(ApiError::TooManyPasskeys);
    }
    let codes = if factors.recovery_codes > 0 { None } else { recovery_code::first_set(context, user_id)? };
    // 3.
    let devices = Devices::presented(context, request, None);
    let proof = enroller.proof(context, passkey::with_passkey(enroller.account()));
    let (proof, factor) = added.complete(proof);
    let new = Enrolled { proof: &proof, factor, codes: codes.as_ref(), status: 201 };
    match (begin::enrol(context, request, &enroller, &new, delivery, &devices).await, &enroller) {
        (Err(SessionError::AccountChanged), Enroller::Caller(_)) => Err(Denial::SessionNotInForce.into()),
        (Err(SessionError::AccountChanged), Enroller::SignIn(_)) => Err(ApiError::InvalidMfaToken),
        (Err(SessionError::Store(StoreError::PasskeyExists)), _) => {
            Err(passkey::refused(context, Some(user_id), "used").into())
        }
        (reply, _) => Ok(reply?),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use crate::routes::sign_in::register_passkey::example_credential;
    use portcullis_core::identity::display_name::NameError;
    operation
        .named(
            Tag::Account,
            "addPasskey",
            "Add a passkey",
            "Adds a passkey. Ends every session, the caller's included, and begins a new one with two factors. The first factor of an \
             account comes with ten recovery codes, which are shown only now.",
        )
        .with_enroller()
        .json::<Body>(&serde_json::json!({"credential": example_credential(), "name": "Security key"}))
        .succeeds(
            Success::tokens(201, "The tokens of a new session. All others have ended, the caller's included.")
                .may_set_cookie(),
        )
        .fails(ApiError::PasskeyRefused)
        .fails(ApiError::TooManyPasskeys)
        .fails(ApiError::UnusableName("name", NameError))
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
}
