//! `POST /email/verify`: verifies the address of an account with a code or link from a mail.

use portcullis_core::account::audit::AuditEvent;
use portcullis_core::mail::challenge::Purpose;
use serde::Deserialize;

use crate::context::Context;
use crate::factors::FactorError;
use crate::factors::device::Devices;
use crate::factors::email_code::{ProvedChallenge, check_code, check_link};
use crate::factors::password::{self, RawLoginName};
use crate::http::{Reply, Request};
use crate::limits;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::caller;
use crate::sessions::changes::{complete_registration, log_change, redemption};

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "VerifyEmailRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The `challenge` that asked for the mail. Send it with `code`.
    challenge: Option<String>,
    /// The code from the mail. Case, spaces and hyphens do not matter.
    code: Option<String>,
    /// The token in the link of the mail. Send it with an access token of the account, or with `password`.
    token: Option<String>,
    /// The password of the account or the registration.
    password: Option<String>,
}

const PURPOSES: [Purpose; 2] = [Purpose::Verify, Purpose::Register];

/// 1. Compare the code, after the attempt is counted, or the link token. Whoever opens a link must also be the user: otherwise the owner of a
///    mailbox could verify an account that somebody else registered with it.
/// 2. Spend the challenge and record that the address is verified, in one transaction, unless the account has changed. A registration
///    becomes the account in this transaction, unless one of its names was taken in the meantime.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let body: Body = request.json()?;
    // 1.
    let proved = match (&body.challenge, &body.code, &body.token, &body.password) {
        (Some(challenge), Some(code), None, None) => {
            let devices = Devices::presented(context, request, None);
            limits::credentials(context, request, &devices.user_ids()).await?;
            check_code(context, challenge, code, &PURPOSES).await?
        }
        (None, None, Some(token), None) => {
            let caller = caller(context, request).await?;
            let own = context.store.find_own_credentials(caller, context.now).await?;
            let proved = check_link(context, token, &[Purpose::Verify]).await?;
            if own.credentials.user.id == proved.account()?.account.user.id {
                proved
            } else {
                return Err(ApiError::InvalidCode);
            }
        }
        (None, None, Some(token), Some(password)) => by_password(context, request, token, password).await?,
        _ => {
            let detail = "Send challenge and code, or token with an access token or password.";
            return Err(ApiError::InvalidRequest(detail.to_owned()));
        }
    };
    // 2.
    if proved.challenge().purpose == Purpose::Register {
        complete_registration(context, request, &proved).await?;
        return Ok(Reply::new(204));
    }
    let user_id = proved.account()?.account.user.id;
    let redemption = redemption(context, request, proved.challenge().id, user_id);
    if !context.store.verify_email(&redemption).await? {
        return Err(ApiError::InvalidCode);
    }
    log_change(context, user_id, None, AuditEvent::EmailVerified, 0);
    Ok(Reply::new(204))
}

/// Checks a link token, and the password of its account or registration like a login.
async fn by_password(
    context: &Context<'_>,
    request: &Request,
    token: &str,
    password: &str,
) -> Result<ProvedChallenge, ApiError> {
    let devices = Devices::presented(context, request, None);
    let proved = check_link(context, token, &PURPOSES).await?;
    if proved.challenge().purpose == Purpose::Register {
        limits::credentials(context, request, &devices.user_ids()).await?;
        password::confirm_registration(context, request, proved.registration()?, password).await?;
        return Ok(proved);
    }
    let user = &proved.account()?.account.user;
    let login =
        password::log_in(context, request, &RawLoginName::Email(&user.email), password, Some(&proved), &devices).await;
    match login {
        Ok(login) if login.user.id == user.id => Ok(proved),
        Ok(_) => Err(ApiError::InvalidCode),
        Err(FactorError::InvalidCredentials) => Err(ApiError::WrongPassword),
        Err(error) => Err(error.into()),
    }
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use crate::store::TakenName;
    operation
        .named(
            Tag::Account,
            "verifyEmail",
            "Verify your address",
            "Verifies the address of the account with the code from a mail, or with the token in its link together with an access token or \
             the password of the account. If `EMAIL_VERIFICATION` is `required`, this creates the account of a registration. It begins no \
             session: log in next.",
        )
        .with_optional_access_token()
        .json::<Body>(&serde_json::json!({"challenge": super::EXAMPLE_CHALLENGE, "code": "7K01-QZ1M"}))
        .succeeds(Success::empty(204, "The address is verified."))
        .fails(ApiError::InvalidRequest(
            "Send challenge and code, or token with an access token or password.".to_owned(),
        ))
        .fails(ApiError::InvalidCode)
        .fails(ApiError::Taken(TakenName::Username))
        .fails(ApiError::WrongPassword)
        .fails(ApiError::TooManyAttempts(32))
        .uses_storage()
        .hashes()
}
