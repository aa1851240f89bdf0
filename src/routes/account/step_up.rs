//! `POST /me/step-up`: authenticates the caller again.

use portcullis_core::account::caller::Caller;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::sign_in::NextStep;
use portcullis_core::webauthn::challenge::PasskeyPurpose;
use portcullis_core::webauthn::credential::AuthenticationResponse;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::device::Devices;
use crate::factors::second::{self, Owner, SecondFactor};
use crate::factors::{email_code, password, step_up as new_proof};
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::caller;
use crate::sessions::begin::{self, StepUp};
use crate::sessions::cookie::NewDelivery;
use crate::sessions::{Incomplete, SessionError};
use crate::store::Denial;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "StepUpRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The password.
    password: Option<String>,
    /// A code of the authenticator app: six digits.
    code: Option<String>,
    /// A recovery code. Case, spaces and hyphens do not matter.
    recovery_code: Option<String>,
    /// What the browser answered to the options of `POST /me/passkeys/options` with `for`: `step_up`, by `toJSON()`. It needs no password.
    credential: Option<AuthenticationResponse>,
    /// The `challenge` of `POST /login/email` for the address of the account.
    challenge: Option<String>,
    /// The code from the mail.
    mail_code: Option<String>,
}

const PROOFS: &str =
    "Send a credential, or a password or challenge and mail_code with at most one of code and recovery_code.";

impl Body {
    /// The second factor, of which there is at most one.
    fn second(&self, caller: Caller) -> Result<Option<SecondFactor<'_>>, ApiError> {
        let Caller { user_id, session_id } = caller;
        match (self.code.as_deref(), self.recovery_code.as_deref(), self.credential.as_ref()) {
            (None, None, None) => Ok(None),
            (Some(code), None, None) => Ok(Some(SecondFactor::Code(code))),
            (None, Some(code), None) => Ok(Some(SecondFactor::RecoveryCode(code))),
            (None, None, Some(response)) => {
                Ok(Some(SecondFactor::Passkey(response, PasskeyPurpose::StepUp { user_id, session_id })))
            }
            _ => Err(ApiError::InvalidRequest(PROOFS.to_owned())),
        }
    }

    /// The challenge and the code of a mail.
    fn mail(&self) -> Result<Option<(&str, &str)>, ApiError> {
        match (self.challenge.as_deref(), self.mail_code.as_deref()) {
            (Some(challenge), Some(code)) => Ok(Some((challenge, code))),
            (None, None) => Ok(None),
            _ => Err(ApiError::InvalidRequest(PROOFS.to_owned())),
        }
    }
}

/// A step-up proves what a login of the account would: the current session does not count.
///
/// 1. Read the account, if the caller's session is in force.
/// 2. Judge the proofs. Without a password or a mail, nobody gets to guess a code.
/// 3. In one transaction, end the current session and begin a new one, unless the account or the session changed since step 1.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    let body: Body = request.json()?;
    let (mail, factor) = (body.mail()?, body.second(caller)?);
    if body.password.is_none() && mail.is_none() && body.credential.is_none() {
        let incomplete = Incomplete { step: NextStep::NeedsProof, mfa_token: None };
        return Err(factor.map_or(ApiError::InvalidRequest(PROOFS.to_owned()), |_| ApiError::Incomplete(incomplete)));
    }
    // A mailbox alone is sufficient only where it is sufficient for a login.
    if body.password.is_none() && body.credential.is_none() && !context.config.email_login {
        return Err(ApiError::EmailLoginOff);
    }
    // 1.
    let own = context.store.find_own_credentials(caller, context.now).await?;
    let delivery = NewDelivery::renewed(context, request, own.delivery)?;
    // 2.
    let mut proof = match &body.password {
        Some(password) => password::step_up(context, request, caller, &own, password).await?,
        None => new_proof(context, caller, &own),
    };
    let code = match mail {
        Some((challenge, code)) => Some(email_code::check_code(context, challenge, code, &[Purpose::Login]).await?),
        None => None,
    };
    if let Some(code) = &code {
        proof = code.complete(proof)?;
    }
    let mut spent = None;
    if let Some(factor) = factor {
        begin::check_sufficient(context, &proof, factor.method())?;
        let owner = Owner { user_id: caller.user_id, session_id: Some(caller.session_id) };
        let proved = second::judge(context, request, owner, factor).await?;
        proof = proved.complete(proof);
        spent = Some(proved.into_use());
    }
    // 3.
    let devices = Devices::presented(context, request, None);
    let user = &own.credentials.user;
    let step_up = StepUp { caller, proof: &proof, user, code: code.as_ref(), factor: spent };
    match begin::step_up(context, request, step_up, delivery, &devices).await {
        Err(SessionError::AccountChanged) => Err(Denial::SessionNotInForce.into()),
        reply => Ok(reply?),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::Account,
            "stepUp",
            "Authenticate again",
            "Begins a new session, which may make sensitive changes for 300 seconds, in place of the current one. It needs what a login \
             of the account would need.",
        )
        .with_access_token()
        .json::<Body>(&serde_json::json!({"password": "correct horse battery staple", "code": "287082"}))
        .succeeds(Success::tokens(200, "The tokens of a new session. The current one has ended.").may_set_cookie())
        .fails(ApiError::InvalidRequest(PROOFS.to_owned()))
        .fails(ApiError::incomplete_example(NextStep::NeedsProof))
        .fails(ApiError::WrongPassword)
        .fails(ApiError::EmailLoginOff)
        .judges_second_factors()
        .needs_further_proofs()
        .fails(ApiError::CookieModeOff)
        .fails(ApiError::CsrfRefused)
        .hashes()
}
