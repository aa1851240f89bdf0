//! `POST /me/mfa/totp/confirm`: makes an authenticator app a factor.

use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::totp::ConfirmedSecret;
use crate::factors::{recovery_code, totp};
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::SessionError;
use crate::sessions::begin::{self, Enrolled};
use crate::sessions::cookie::NewDelivery;
use crate::sessions::enrolment::{Enroller, enroller};
use crate::store::Denial;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ConfirmTotpRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The code that the app shows: six digits.
    code: String,
}

/// 1. Check that the user may add a factor.
/// 2. Judge the code, after the attempt is counted.
/// 3. In one transaction, make the secret a factor, end every session and begin a new one with two factors, unless the account or the
///    session changed since step 1. An account without recovery codes gets them.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    // 1.
    let enroller = enroller(context, request).await?;
    let body: Body = request.json()?;
    enroller.check_first_factor()?;
    let delivery = NewDelivery::renewed(context, request, enroller.delivery())?;
    // 2.
    let user_id = enroller.user().id;
    let confirmed = totp::confirm(context, user_id, &body.code).await?;
    let codes = if confirmed.has_recovery_codes { None } else { Some(recovery_code::new_set(context, user_id)?) };
    // 3.
    let devices = Devices::presented(context, request, None);
    let account = ConfirmedSecret::added_to(enroller.account());
    let proof = confirmed.complete(enroller.proof(context, account))?;
    let new = Enrolled { proof: &proof, factor: confirmed.factor(), codes: codes.as_ref(), status: 200 };
    match (begin::enrol(context, request, &enroller, &new, delivery, &devices).await, &enroller) {
        (Err(SessionError::AccountChanged), Enroller::Caller(_)) => Err(Denial::SessionNotInForce.into()),
        (Err(SessionError::AccountChanged), Enroller::SignIn(_)) => Err(ApiError::InvalidMfaToken),
        (reply, _) => Ok(reply?),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "confirmTotp",
            "Confirm your authenticator app",
            "Makes the authenticator app a factor with a code that it shows. Ends every session, the caller's included, and begins a new \
             one with two factors. Five codes may be tried. The first factor of an account comes with ten recovery codes, which are shown \
             only now.",
        )
        .with_enroller()
        .json::<Body>(&serde_json::json!({"code": "287082"}))
        .succeeds(
            Success::tokens(200, "The tokens of a new session. All others have ended, the caller's included.")
                .may_set_cookie(),
        )
        .fails(ApiError::InvalidCode)
        .fails(ApiError::PasswordRequired)
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
}
