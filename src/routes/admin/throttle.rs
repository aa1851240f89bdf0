//! `GET /users/{id}/throttle`: the failed logins that delay further ones, for admins.

use portcullis_core::account::caller::Caller;
use portcullis_core::account::throttle::{Name, Subject};
use portcullis_core::account::user::User;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use serde::Serialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::admin;
use crate::sessions::changes::for_admin;

/// The throttles of an account.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Throttles {
    /// Those with failures.
    throttles: Vec<Throttle>,
}

/// Failures that are counted together. Times in unix seconds.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Throttle {
    /// What they are counted against.
    of: Of,
    /// The number of failures in a row: since the last completed sign-in, or for `confirmation` since the last confirmed change.
    failures: u64,
    /// The last failure.
    last_failed_at: u64,
    /// Until when no further attempt is judged. In the past, or `null`, if attempts need not wait.
    wait_until: Option<u64>,
}

/// What failures are counted against.
#[derive(Serialize, Clone, Copy)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// Logins with the e-mail address, from unknown devices.
    Email,
    /// Logins with the username, from unknown devices.
    Username,
    /// Confirmations of the current password by whoever is signed in.
    Confirmation,
    /// Codes of the authenticator app.
    Code,
}

/// 1. Read the account, because the failures are found by its names.
/// 2. Read the failures.
pub async fn get(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = admin(context, request).await?;
    // 1.
    let subjects = subjects(context, request, caller).await?;
    // 2.
    let found = context.store.find_throttles(subjects.iter().map(|(_, subject)| *subject)).await?;
    let throttles = subjects.iter().zip(found).filter_map(|((of, _), throttle)| {
        let throttle = throttle?;
        Some(Throttle {
            of: *of,
            failures: throttle.failures,
            last_failed_at: throttle.last_at,
            wait_until: (throttle.until > 0).then_some(throttle.until),
        })
    });
    Reply::json(200, &Throttles { throttles: throttles.collect() })
}

/// The subjects that failures of an account count against, except its known devices.
pub async fn subjects(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
) -> Result<Vec<(Of, Subject)>, ApiError> {
    let answer = context.store.find_account(caller, request.path_id(), context.now).await;
    let User { id, email, username, .. } = for_admin(context, caller, answer)?.user;
    let email = Email::parse(&email).ok();
    let username = username.and_then(|username| Username::parse(&username).ok());
    let hash = |name| Subject::Name(context.config.name_key.hash(name));
    let names = [
        email.as_ref().map(|email| (Of::Email, hash(Name::Email(email.key())))),
        username.as_ref().map(|username| (Of::Username, hash(Name::Username(username.key())))),
    ];
    Ok(names
        .into_iter()
        .flatten()
        .chain([(Of::Confirmation, Subject::User(id)), (Of::Code, Subject::Factor(id))])
        .collect())
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    let throttle =
        Throttle { of: Of::Email, failures: 7, last_failed_at: 1_796_083_200, wait_until: Some(1_796_083_208) };
    operation
        .named(
            Tag::Administration,
            "getUserThrottle",
            "Get the throttle of a user",
            "The failed logins that delay further ones. Logins from devices that the account knows are not delayed.",
        )
        .with_admin_token()
        .path_id("The id of the user.")
        .succeeds(Success::json(200, "The failures.", &Throttles { throttles: vec![throttle] }))
}
