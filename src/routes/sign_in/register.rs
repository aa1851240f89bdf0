//! `POST /register`: creates an account and its first session.

use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::session::Transport;
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::factors::password;
use crate::http::{Reply, Request};
use crate::log::{self, Event};
use crate::platform::random::random;
use crate::routes::error::ApiError;
use crate::sessions::cookie::NewDelivery;
use crate::sessions::{SessionError, begin};
use crate::store::registration::NewUser;
use crate::store::{StoreError, TakenName};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    email: String,
    password: String,
    username: Option<String>,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    metadata: Option<Map<String, Value>>,
    transport: Option<Transport>,
    remember: Option<bool>,
}

/// 1. Check the input and refuse a taken name before hashing.
/// 2. Hash the password.
/// 3. Insert the account and its session in one transaction. If several requests use one name, the unique index accepts one of them,
///    and the others get the same 409 as in step 1.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    if !context.config.registration_open {
        return Err(ApiError::RegistrationClosed);
    }
    let body: Body = request.json()?;
    let delivery = NewDelivery::requested(context, request, body.transport, body.remember)?;
    // 1.
    let email = Email::parse(&body.email)?;
    let username = body.username.as_deref().map(Username::for_registration).transpose()?;
    let parse =
        |text: &Option<String>, member| text.as_deref().map(Name::parse).transpose().map_err(ApiError::name(member));
    let name = parse(&body.name, "name")?;
    let given_name = parse(&body.given_name, "given_name")?;
    let family_name = parse(&body.family_name, "family_name")?;
    let metadata = body.metadata.map(Metadata::new).transpose().map_err(ApiError::metadata("metadata"))?;
    let (username_text, name_text) = (username.as_ref().map(Username::as_str), name.as_ref().map(Name::as_str));
    let names =
        [username_text, name_text, given_name.as_ref().map(Name::as_str), family_name.as_ref().map(Name::as_str)];
    let password = password::check_new(context, &body.password, Some(&email), &names)?;
    let found = context.store.find_taken(&email, username.as_ref()).await?;
    // Check the username first, so that a request with a taken username cannot test whether an address is registered.
    if found.username_taken {
        return Err(refused(context, request, &email, TakenName::Username).await?);
    }
    if found.email_taken {
        return Err(refused(context, request, &email, TakenName::Email).await?);
    }
    // 2.
    let user = User {
        id: Id::new(random()?),
        email: email.address().to_owned(),
        username: username_text.map(str::to_owned),
        name: name_text.map(str::to_owned),
        given_name: given_name.as_ref().map(|name| name.as_str().to_owned()),
        family_name: family_name.as_ref().map(|name| name.as_str().to_owned()),
        metadata: metadata.clone(),
        app_metadata: None,
        // Never read from a request.
        roles: context.config.roles.first(),
        created_at: context.now,
    };
    let new = password::register(context, request, user.id, found.slot, &email, &password).await?;
    // 3.
    let new_user = NewUser {
        id: user.id,
        email: &email,
        slot: found.slot,
        username: username.as_ref(),
        name: name.as_ref(),
        given_name: given_name.as_ref(),
        family_name: family_name.as_ref(),
        metadata: metadata.as_ref(),
        password_hash: Some(&new.hash),
        roles: &user.roles,
    };
    match begin::register(context, request, &new.proof, &new_user, &user, delivery).await {
        Err(SessionError::Store(StoreError::Conflict(taken))) => Err(refused(context, request, &email, taken).await?),
        reply => Ok(reply?),
    }
}

/// Logs that a name is taken. The owner of an address sees the attempt in the audit trail.
async fn refused(
    context: &Context<'_>,
    request: &Request,
    email: &Email,
    taken: TakenName,
) -> Result<ApiError, ApiError> {
    let reason = match taken {
        TakenName::Username => "username_taken",
        TakenName::Email => {
            context.store.count_registration_attempt(email, &request.client, context.now).await?;
            "email_taken"
        }
    };
    log::write(context.request_id, &Event::RegistrationRefused { reason });
    Ok(ApiError::Taken(taken))
}
