//! `POST /login/mfa`: completes a sign-in with a further proof.

use portcullis_core::mail::challenge::Purpose;
use portcullis_core::webauthn::challenge::PasskeyPurpose;
use portcullis_core::webauthn::credential::AuthenticationResponse;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::Proof;
use crate::factors::device::Devices;
use crate::factors::email_code::{ProvedChallenge, check_code};
use crate::factors::pending;
use crate::factors::second::{self, Owner, SecondFactor};
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::{SessionError, begin};
use crate::store::factor_use::FactorUse;
use crate::store::sign_ins::PendingSignIn;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "LoginMfaRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The `mfa_token` of the sign-in.
    mfa_token: String,
    /// A code of the authenticator app: six digits.
    code: Option<String>,
    /// A recovery code. Case, spaces and hyphens do not matter.
    recovery_code: Option<String>,
    /// What the browser answered to the options of `POST /login/mfa/options`, by `toJSON()`.
    credential: Option<AuthenticationResponse>,
    /// After `email_code_required`: the `challenge` of `POST /login/email`.
    challenge: Option<String>,
    /// The code from the mail.
    mail_code: Option<String>,
    /// The `device_token` of an earlier sign-in of this user, who then gets no mail about a new device. An invalid one is ignored.
    device_token: Option<String>,
}

/// A further proof, as a request sends it.
enum FurtherProof<'a> {
    /// A second factor.
    Second(SecondFactor<'a>),
    /// A passkey.
    Passkey(&'a AuthenticationResponse),
    /// A code from a mail.
    Mail { challenge: &'a str, code: &'a str },
}

impl Body {
    /// The only proof.
    fn proof(&self) -> Result<FurtherProof<'_>, ApiError> {
        let Self { code, recovery_code, credential, challenge, mail_code, .. } = self;
        match (code, recovery_code, credential, challenge, mail_code) {
            (Some(code), None, None, None, None) => Ok(FurtherProof::Second(SecondFactor::Code(code))),
            (None, Some(code), None, None, None) => Ok(FurtherProof::Second(SecondFactor::RecoveryCode(code))),
            (None, None, Some(response), None, None) => Ok(FurtherProof::Passkey(response)),
            (None, None, None, Some(challenge), Some(code)) => Ok(FurtherProof::Mail { challenge, code }),
            _ => Err(ApiError::InvalidRequest(ONE_PROOF.to_owned())),
        }
    }
}

const ONE_PROOF: &str = "Send one of code, recovery_code, credential, and challenge with mail_code.";

/// 1. Open the sign-in, after the attempt is counted.
/// 2. Judge the proof.
/// 3. Begin the session and spend the sign-in in one transaction, unless the account has changed or a further proof is needed.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    let devices = Devices::presented(context, request, body.device_token.as_deref());
    limits::credentials(context, request, &devices.user_ids()).await?;
    let further = body.proof()?;
    // 1.
    let pending = pending::open(context, &body.mfa_token).await?;
    // 2.
    let (proof, code, factor) = match further {
        FurtherProof::Second(factor) => judge(context, request, &pending, factor).await?,
        FurtherProof::Passkey(response) => {
            let purpose = PasskeyPurpose::Mfa { user_id: pending.user.id, mfa_id: pending.id };
            judge(context, request, &pending, SecondFactor::Passkey(response, purpose)).await?
        }
        FurtherProof::Mail { challenge, code } => {
            let proved = check_code(context, challenge, code, &[Purpose::Login]).await?;
            (pending::with_email(context, &pending, &proved)?, Some(proved), None)
        }
    };
    // 3.
    match begin::complete(context, request, &pending, &proof, code.as_ref(), factor, &devices).await {
        Err(SessionError::AccountChanged) => Err(ApiError::InvalidMfaToken),
        reply => Ok(reply?),
    }
}

/// Judges a second factor. Returns the proof with it, and what it uses up.
async fn judge(
    context: &Context<'_>,
    request: &Request,
    pending: &PendingSignIn,
    factor: SecondFactor<'_>,
) -> Result<(Proof, Option<ProvedChallenge>, Option<FactorUse>), ApiError> {
    // A factor that does not complete the sign-in is not judged, so that nobody learns whether a code is right without using it up.
    begin::check_completes(context, pending, factor.method())?;
    let owner = Owner { user_id: pending.user.id, session_id: None };
    let proved = second::judge(context, request, owner, factor).await?;
    Ok((proved.complete(pending::proof(context, pending)), None, Some(proved.into_use())))
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "completeLogin",
            "Complete a sign-in",
            "Begins the session of a sign-in that needed a further proof. Five proofs may be tried within 10 minutes.",
        )
        .json::<Body>(&serde_json::json!({
            "mfa_token": ApiError::EXAMPLE_MFA_TOKEN,
            "code": "287082",
        }))
        .succeeds(Success::tokens(200, "The user is logged in.").may_set_cookie())
        .fails(ApiError::InvalidRequest(ONE_PROOF.to_owned()))
        .fails(ApiError::InvalidMfaToken)
        .judges_second_factors()
        .needs_further_proofs()
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
        .uses_storage()
}
