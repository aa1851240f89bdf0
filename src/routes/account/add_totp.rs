//! `POST /me/mfa/totp`: makes a secret for an authenticator app.

use portcullis_core::mfa::qr;
use serde::Serialize;

use crate::context::Context;
use crate::factors::totp;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::enrolment::enroller;
use crate::store::Denial;

/// The secret of an authenticator app.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "TotpResponse"))]
struct Response<'a> {
    /// The secret in base 32, to type into an app.
    secret: &'a str,
    /// The address by which an app takes over the secret.
    otpauth_uri: &'a str,
    /// A QR code of this address: an SVG image without scripts, styles and links.
    qr_svg: &'a str,
}

/// 1. Check that the user may add a factor.
/// 2. Make a secret and store it encrypted. It is no factor yet.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    // 1.
    let enroller = enroller(context, request).await?;
    enroller.check_first_factor()?;
    // 2.
    let new = totp::new_secret(context).await?;
    if !context.store.insert_totp(enroller.conditions(), new.id, &new.stored, context.now).await? {
        return Err(Denial::SessionNotInForce.into());
    }
    let otpauth_uri = new.secret.otpauth_uri(totp::issuer_name(context.config), &enroller.user().email);
    let qr_svg = qr::svg(&otpauth_uri).ok_or_else(|| ApiError::Internal("the QR code is too large".to_owned()))?;
    let response = Response { secret: &new.secret.to_base32(), otpauth_uri: &otpauth_uri, qr_svg: &qr_svg };
    Reply::json(201, &response)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "addTotp",
            "Add an authenticator app",
            "Makes a secret for an authenticator app (RFC 6238). It is no factor until `POST /me/mfa/totp/confirm` has confirmed it within \
             an hour, and then replaces the app from before. After `mfa_enrolment_required`, send the `mfa_token` in place of the access \
             token.",
        )
        .with_enroller()
        .succeeds(Success::json(
            201,
            "The secret, which is shown only now.",
            &Response {
                secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
                otpauth_uri: "otpauth://totp/Portcullis:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Portcullis&algorithm=SHA1&digits=6&period=30",
                qr_svg: "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 53 53\">…</svg>",
            },
        ))
        .fails(ApiError::PasswordRequired)
}
