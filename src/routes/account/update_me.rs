//! `PATCH /me`: changes the profile of the caller.

use portcullis_core::account::metadata::Metadata;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::{authenticated_caller, check_recent};
use crate::sessions::changes::{action, log_change};
use crate::store::accounts::{ProfileChange, ProfileOutcome};
use portcullis_core::account::audit::AuditEvent;
use portcullis_core::edit::Edit;
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::username::{Username, UsernameError};

/// Length of the period in which changes are counted, in seconds.
const HOUR: u64 = 3_600;

// Users cannot change their roles or address here, so these are not members.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "UpdateMeRequest", extend("minProperties" = 1)))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The new username; `null` removes it. The user must have authenticated in the last 300 seconds.
    #[serde(default)]
    username: Edit<String>,
    /// The new name to display; `null` removes it.
    #[serde(default)]
    name: Edit<String>,
    /// The new first name; `null` removes it.
    #[serde(default)]
    given_name: Edit<String>,
    /// The new last name; `null` removes it.
    #[serde(default)]
    family_name: Edit<String>,
    /// The new metadata, which replaces the old one as a whole; `null` removes it.
    #[serde(default)]
    metadata: Edit<Map<String, Value>>,
}

/// 1. Check the new values.
/// 2. Changing the username requires a recent authentication, because it is a login name (ASVS 7.5.1).
/// 3. Change the profile, and record it, in one transaction.
pub async fn patch(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let authenticated = authenticated_caller(context, request).await?;
    let caller = authenticated.caller;
    let body: Body = request.json()?;
    // 1.
    let mut change = ProfileChange {
        username: body.username.check(|text| Username::parse(&text))?,
        name: body.name.check(|text| Name::parse(&text)).map_err(ApiError::name("name"))?,
        given_name: body.given_name.check(|text| Name::parse(&text)).map_err(ApiError::name("given_name"))?,
        family_name: body.family_name.check(|text| Name::parse(&text)).map_err(ApiError::name("family_name"))?,
        metadata: body.metadata.check(Metadata::new).map_err(ApiError::metadata("metadata"))?,
    };
    if !change.is_edit() {
        return Err(ApiError::InvalidRequest(
            "Send at least one of username, name, given_name, family_name and metadata.".to_owned(),
        ));
    }
    // 2.
    if change.username.is_edit() {
        let own = context.store.find_own_credentials(caller, context.now).await?;
        let user = &own.credentials.user;
        if change.username.value().map(Username::as_str) == user.username.as_deref() {
            change.username = Edit::Keep;
        } else {
            // An imported user may already have a reserved name, and may change its case.
            let current = user.username.as_deref().and_then(|current| Username::parse(current).ok());
            let is_own = |wanted: &Username| current.as_ref().is_some_and(|own| own.key() == wanted.key());
            if change.username.value().is_some_and(|wanted| wanted.is_reserved() && !is_own(wanted)) {
                return Err(UsernameError::Reserved.into());
            }
            check_recent(context, &authenticated)?;
        }
    }
    // 3.
    let (user, outcome) = context.store.change_profile(&action(context, request, caller), &change).await?;
    match outcome {
        ProfileOutcome::Changed => log_change(context, caller.user_id, None, AuditEvent::ProfileChanged, 0),
        ProfileOutcome::Unchanged => {}
        ProfileOutcome::TooOften => return Err(ApiError::TooManyRequests(HOUR.saturating_sub(context.now % HOUR))),
    }
    Reply::json(200, &user)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use crate::store::TakenName;
    use portcullis_core::account::metadata::MetadataError;
    use portcullis_core::account::user::User;
    use portcullis_core::identity::display_name::NameError;
    operation
        .named(
            Tag::Account,
            "updateMe",
            "Change your profile",
            "Changes the members that are sent; `null` removes a value (RFC 7396). Changing the username \
             requires a recent authentication. 20 changes within an hour are allowed.",
        )
        .with_access_token()
        .json::<Body>(&serde_json::json!({"name": "Ada King", "family_name": null}))
        .succeeds(Success::json(200, "The changed user.", &User::example()))
        .fails(ApiError::InvalidRequest(
            "Send at least one of username, name, given_name, family_name and metadata.".to_owned(),
        ))
        .fails(ApiError::StepUpRequired)
        .fails(ApiError::Taken(TakenName::Username))
        .fails(ApiError::UnusableUsername(UsernameError::Malformed))
        .fails(ApiError::UnusableUsername(UsernameError::Reserved))
        .fails(ApiError::UnusableName("name", NameError))
        .fails(ApiError::UnusableMetadata("metadata", MetadataError::TooLong))
        .fails(ApiError::UnusableMetadata("metadata", MetadataError::TooDeep))
        .fails(ApiError::TooManyRequests(HOUR))
}
