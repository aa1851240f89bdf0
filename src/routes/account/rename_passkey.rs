//! `PATCH /me/passkeys/{id}`: renames a passkey of the caller.

#[cfg(feature = "openapi")]
use portcullis_core::account::passkey::Passkey;
use portcullis_core::identity::display_name::Name;
use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::caller;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "RenamePasskeyRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The new name, at most 200 characters.
    name: String,
}

/// Returns the same 404 for a passkey of another user and an unknown one.
pub async fn patch(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = caller(context, request).await?;
    let body: Body = request.json()?;
    let name = Name::parse(&body.name).map_err(ApiError::name("name"))?;
    let id = &request.path_variable;
    Reply::json(200, &context.store.rename_passkey(caller, id, name.as_str(), context.now).await?)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use portcullis_core::identity::display_name::NameError;
    operation
        .named(Tag::Account, "renamePasskey", "Rename a passkey", "Changes the name of a passkey of the caller.")
        .with_access_token()
        .path_id("The id of the passkey.")
        .json::<Body>(&serde_json::json!({"name": "Security key"}))
        .succeeds(Success::json(200, "The passkey.", &Passkey::example()))
        .fails(ApiError::UnusableName("name", NameError))
}
