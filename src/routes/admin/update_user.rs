//! `PATCH /users/{id}`: sets the roles or metadata of a user, and disables or enables the account, for admins.

use portcullis_core::account::metadata::Metadata;
use portcullis_core::edit::Edit;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_admin;
use crate::sessions::changes::{act_as_admin, for_admin};
use crate::store::admin::AdminAction;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "UpdateUserRequest", extend("minProperties" = 1)))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The new roles, which must be in `ROLES`.
    roles: Option<Vec<String>>,
    /// Whether the account is disabled, which ends its sessions.
    disabled: Option<bool>,
    /// The new metadata of the user, which replaces the old one as a whole; `null` removes it.
    #[serde(default)]
    metadata: Edit<Map<String, Value>>,
    /// The new metadata of the app, which replaces the old one as a whole; `null` removes it.
    #[serde(default)]
    app_metadata: Edit<Map<String, Value>>,
}

/// Disabling an account ends its sessions in the same transaction. A value that does not change is not an error and not recorded.
pub async fn patch(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let id = request.path_id();
    let caller = recent_admin(context, request).await?;
    let body: Body = request.json()?;
    let changes_metadata = body.metadata.is_edit() || body.app_metadata.is_edit();
    if body.roles.is_none() && body.disabled.is_none() && !changes_metadata {
        return Err(ApiError::InvalidRequest(
            "Send at least one of roles, disabled, metadata and app_metadata.".to_owned(),
        ));
    }
    let metadata = body.metadata.check(Metadata::new).map_err(ApiError::metadata("metadata"))?;
    let app_metadata = body.app_metadata.check(Metadata::new).map_err(ApiError::metadata("app_metadata"))?;
    let Ok(roles) = body.roles.map(|roles| context.config.roles.choose(&roles)).transpose() else {
        // Only admins may learn which roles exist, so check first that the caller is an admin and the account exists.
        let answer = context.store.find_account(caller, id, context.now).await;
        for_admin(context, caller, answer)?;
        return Err(ApiError::UnknownRole);
    };
    let action = AdminAction::Update { roles, disabled: body.disabled, metadata, app_metadata };
    let result = act_as_admin(context, request, caller, id, &action).await?;
    Reply::json(200, &result.account)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::account::metadata::MetadataError;
    use portcullis_core::account::user::Account;
    operation
        .named(
            Tag::Administration,
            "updateUser",
            "Change a user",
            "Sets the roles or metadata of a user, and disables or enables the account. Only the members that \
             are sent change.",
        )
        .with_admin_token()
        .path_id("The id of the user.")
        .json::<Body>(&serde_json::json!({"roles": ["user", "admin"], "app_metadata": {"plan": "team"}}))
        .succeeds(Success::json(200, "The changed account.", &Account::example()))
        .fails(ApiError::InvalidRequest("Send at least one of roles, disabled, metadata and app_metadata.".to_owned()))
        .fails(ApiError::LastAdmin)
        .fails(ApiError::UnknownRole)
        .fails(ApiError::UnusableMetadata("metadata", MetadataError::TooLong))
        .fails(ApiError::UnusableMetadata("metadata", MetadataError::TooDeep))
}
