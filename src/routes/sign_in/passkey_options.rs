//! `POST /passkeys/options`: the options of a login with a passkey. Writes nothing and asks no storage.

use portcullis_core::webauthn::challenge::PasskeyPurpose;
#[cfg(feature = "openapi")]
use portcullis_core::webauthn::options::RequestOptions;
use serde::Serialize;

use crate::context::Context;
use crate::factors::passkey::request_options;
use crate::http::{Reply, Request};
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};

/// Options for the browser.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "{T}Response"))]
#[serde(rename_all = "camelCase")]
pub struct PublicKey<T> {
    /// What `parseRequestOptionsFromJSON` or `parseCreationOptionsFromJSON` of `PublicKeyCredential` reads. Its challenge is valid for
    /// five minutes, once.
    pub public_key: T,
}

#[expect(clippy::unused_async, reason = "the table awaits every handler")]
pub async fn post(context: &Context<'_>, _: &Request) -> Result<Reply, ApiError> {
    options(context, PasskeyPurpose::Login)
}

/// The reply with the options to use a passkey.
pub fn options(context: &Context<'_>, purpose: PasskeyPurpose) -> Result<Reply, ApiError> {
    Reply::json(200, &PublicKey { public_key: request_options(context, purpose)? })
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    operation
        .named(
            Tag::SignIn,
            "getPasskeyOptions",
            "Get the options of a login with a passkey",
            "The options for `navigator.credentials.get()`. They name no passkey, so the user chooses among all that the device has for \
             this service.",
        )
        .succeeds(example())
}

/// The options, for the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn example() -> Success {
    use portcullis_core::webauthn::ceremony::RelyingParty;
    let party = RelyingParty::new("example.org".to_owned(), Vec::new());
    let public_key = RequestOptions::new(&party, EXAMPLE_CHALLENGE.to_owned());
    Success::json(200, "The options.", &PublicKey { public_key })
}

/// A challenge in the examples of the documentation.
#[cfg(feature = "openapi")]
pub const EXAMPLE_CHALLENGE: &str = "AAAAAGsN5oDsaA76jvEKPKLc-MFe5STlAAAAAGsN5oDsaA76jvEKPA";
