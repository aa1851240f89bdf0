//! `POST /users`: creates an account without a password and invites its user, for admins.

use portcullis_core::id::Id;
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use serde::Deserialize;

use crate::context::Context;
use crate::http::{Reply, Request};
use crate::mail::{outbox, prepare_for_admin};
use crate::platform::random::random;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::{Operation, Success, Tag};
use crate::sessions::bearer::recent_admin;
use crate::sessions::changes::{for_admin, invite};
use crate::store::invitations::InvitedUser;

#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "InviteUserRequest"))]
#[serde(deny_unknown_fields)]
struct Body {
    /// The e-mail address, at most 254 bytes.
    email: String,
    /// The name to display, at most 200 characters.
    name: Option<String>,
    /// A name to log in with: 3 to 32 ASCII letters, digits, dots, underscores and hyphens.
    username: Option<String>,
    /// The roles, which must be in `ROLES`. The default is its first one. The account gets the others once the user accepts.
    roles: Option<Vec<String>>,
}

/// 1. Check the names, then that the caller is an admin, then the rest: only admins may learn which roles exist.
/// 2. Insert the account and the mail in one transaction, unless a name is taken.
pub async fn post(context: &Context<'_>, request: &Request) -> Result<Reply, ApiError> {
    let caller = recent_admin(context, request).await?;
    let body: Body = request.json()?;
    // 1.
    let email = Email::parse(&body.email)?;
    let name = body.name.as_deref().map(Name::parse).transpose().map_err(ApiError::name("name"))?;
    let username = body.username.as_deref().map(Username::for_registration).transpose()?;
    let slot = for_admin(context, caller, context.store.find_slot(caller, &email, context.now).await)?;
    let all_roles = match body.roles {
        Some(roles) => context.config.roles.choose(&roles).map_err(|_| ApiError::UnknownRole)?,
        None => context.config.roles.first(),
    };
    // The role `admin` too: the session of an inviter who has a factor began with two.
    let first = context.config.roles.first();
    let roles: Vec<_> = all_roles.iter().filter(|role| first.contains(role)).cloned().collect();
    let further = (roles != all_roles).then(|| serde_json::Value::from(all_roles.as_slice()).to_string());
    let code = prepare_for_admin(context, request, Purpose::Invite, Kind::Invite, further)?;
    // 2.
    let (email, name, username) = (&email, name.as_ref(), username.as_ref());
    let user = InvitedUser { id: Id::new(random()?), email, slot, username, name, roles: &roles };
    let account = invite(context, request, caller, &user, &all_roles, &code).await?;
    outbox::send_after_reply(context, vec![code.mail_id]);
    Reply::json(201, &account)
}

/// For the OpenAPI document.
#[cfg(feature = "openapi")]
pub fn describe(operation: Operation) -> Operation {
    use crate::store::TakenName;
    use portcullis_core::account::user::Account;
    use portcullis_core::identity::display_name::NameError;
    use portcullis_core::identity::email::EmailError;
    use portcullis_core::identity::username::UsernameError;
    operation
        .named(
            Tag::Administration,
            "inviteUser",
            "Invite a user",
            "Creates an account without a password and sends its user a link, with which `POST /password/reset` sets the first password \
             within 7 days. That verifies the address and gives the account the roles after the first.",
        )
        .with_admin_token()
        .json::<Body>(&serde_json::json!({"email": "ada@example.org", "name": "Ada Lovelace", "roles": ["user", "admin"]}))
        .succeeds(Success::json(201, "The account, before the user accepts.", &Account::example()))
        .fails(ApiError::MailOff)
        .fails(ApiError::Taken(TakenName::Email))
        .fails(ApiError::Taken(TakenName::Username))
        .fails(ApiError::UnusableEmail(EmailError::Domain))
        .fails(ApiError::UnusableName("name", NameError))
        .fails(ApiError::UnusableUsername(UsernameError::Malformed))
        .fails(ApiError::UnusableUsername(UsernameError::Reserved))
        .fails(ApiError::UnknownRole)
}
