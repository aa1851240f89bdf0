//! What the endpoints that create accounts share.

use std::time::Duration;

use portcullis_core::account::metadata::Metadata;
use portcullis_core::account::user::User;
use portcullis_core::identity::display_name::Name;
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use serde_json::{Map, Value};
use worker::Delay;

use crate::config::EmailVerification;
use crate::context::Context;
use crate::factors::Proof;
use crate::factors::device::Devices;
use crate::factors::password::NewPassword;
use crate::factors::recovery_code::NewCodes;
use crate::http::{Reply, Request};
use crate::log::{self, Event};
use crate::mail::registration::prepare_registration;
use crate::mail::{self, CodeRequest, MailError, Recipient, Requester};
use crate::routes::email::accepted;
use crate::routes::error::ApiError;
#[cfg(feature = "openapi")]
use crate::routes::openapi::Operation;
use crate::sessions::SessionError;
use crate::sessions::begin::{self, Registration};
use crate::sessions::cookie::NewDelivery;
use crate::store::challenges::NewCode;
use crate::store::passkeys::NewPasskey;
use crate::store::registration::{Availability, FirstPasskey, NewUser};
use crate::store::{StoreError, TakenName};

/// The members of a request that describe the account.
pub struct Members<'b> {
    /// The address.
    pub email: &'b str,
    /// The username.
    pub username: Option<&'b str>,
    /// The display name.
    pub name: Option<&'b str>,
    /// First name.
    pub given_name: Option<&'b str>,
    /// Last name.
    pub family_name: Option<&'b str>,
    /// The metadata that the user may change.
    pub metadata: Option<Map<String, Value>>,
}

/// The same, checked.
pub struct NewAccount {
    /// The address.
    pub email: Email,
    username: Option<Username>,
    name: Option<Name>,
    given_name: Option<Name>,
    family_name: Option<Name>,
    metadata: Option<Metadata>,
}

/// How the user of a new account signs in.
pub struct FirstFactor<'a> {
    /// The proof of the account.
    pub proof: &'a Proof,
    /// Its password.
    pub password: Option<&'a NewPassword>,
    /// Its passkey.
    pub passkey: Option<&'a NewPasskey>,
    /// Its recovery codes.
    pub codes: Option<&'a NewCodes>,
}

impl NewAccount {
    /// Checks the members.
    pub fn parse(members: Members<'_>) -> Result<Self, ApiError> {
        let parse = |text: Option<&str>, member| text.map(Name::parse).transpose().map_err(ApiError::name(member));
        Ok(Self {
            email: Email::parse(members.email)?,
            username: members.username.map(Username::for_registration).transpose()?,
            name: parse(members.name, "name")?,
            given_name: parse(members.given_name, "given_name")?,
            family_name: parse(members.family_name, "family_name")?,
            metadata: members.metadata.map(Metadata::new).transpose().map_err(ApiError::metadata("metadata"))?,
        })
    }

    /// The names, of which no password may be made.
    pub fn names(&self) -> [Option<&str>; 4] {
        let [name, given_name, family_name] =
            [&self.name, &self.given_name, &self.family_name].map(|name| name.as_ref().map(Name::as_str));
        [self.username.as_ref().map(Username::as_str), name, given_name, family_name]
    }

    /// The display name.
    pub fn display_name(&self) -> Option<&str> {
        self.name.as_ref().map(Name::as_str)
    }

    /// Refuses names that are taken. If `EMAIL_VERIFICATION` is `required`, a taken address is not refused, so that the response does not
    /// tell.
    pub async fn find_taken(&self, context: &Context<'_>, request: &Request) -> Result<Availability, ApiError> {
        let found = context.store.find_taken(&self.email, self.username.as_ref(), context.now).await?;
        // Check the username first, so that a request with a taken username cannot test whether an address is registered.
        if found.username_taken {
            return Err(self.refused(context, request, TakenName::Username).await?);
        }
        if found.email_taken() && !waits_for_code(context) {
            return Err(self.refused(context, request, TakenName::Email).await?);
        }
        Ok(found)
    }

    /// Creates the account and its first session, or the registration that waits for the code from a mail.
    pub async fn create(
        &self,
        context: &Context<'_>,
        request: &Request,
        found: &Availability,
        first: &FirstFactor<'_>,
        delivery: NewDelivery,
    ) -> Result<Reply, ApiError> {
        let text = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
        let user = User {
            id: first.proof.user_id(),
            email: self.email.address().to_owned(),
            email_verified: false,
            username: self.username.as_ref().map(|name| name.as_str().to_owned()),
            name: text(&self.name),
            given_name: text(&self.given_name),
            family_name: text(&self.family_name),
            metadata: self.metadata.clone(),
            app_metadata: None,
            // Never read from a request.
            roles: context.config.roles.first(),
            created_at: context.now,
        };
        let new_user = NewUser {
            id: user.id,
            email: &self.email,
            slot: found.slot,
            username: self.username.as_ref(),
            name: self.name.as_ref(),
            given_name: self.given_name.as_ref(),
            family_name: self.family_name.as_ref(),
            metadata: self.metadata.as_ref(),
            password_hash: first.password.map(|password| password.hash.as_str()),
            passkey: first
                .passkey
                .map(|passkey| FirstPasskey { passkey, code_hashes: first.codes.map(|codes| codes.hashes.as_str()) }),
            roles: &user.roles,
        };
        let devices = Devices::presented(context, request, None);
        if waits_for_code(context) {
            return wait_for_code(context, request, &new_user, found, &devices).await;
        }
        let code = verification(context, request, &user, &self.email, &devices)?;
        let challenge = code.as_ref().map(|code| context.config.challenge_keys.seal(code.challenge.id));
        let (code, challenge) = (code.as_ref(), challenge.as_deref());
        let FirstFactor { proof, password, codes, .. } = *first;
        let (new_user, user) = (&new_user, &user);
        let registration = Registration { proof, password, codes, new_user, user, code, challenge };
        match begin::register(context, request, &registration, delivery, &devices).await {
            Err(SessionError::Store(StoreError::Conflict(taken))) => Err(self.refused(context, request, taken).await?),
            reply => {
                let reply = reply?;
                code.map(|code| mail::sent(context, code));
                Ok(reply)
            }
        }
    }

    /// Logs that a name is taken. The owner of an address sees the attempt in the audit trail.
    async fn refused(&self, context: &Context<'_>, request: &Request, taken: TakenName) -> Result<ApiError, ApiError> {
        let reason = match taken {
            TakenName::Username => "username_taken",
            TakenName::Email => {
                context.store.count_registration_attempt(&self.email, &request.client, context.now).await?;
                "email_taken"
            }
        };
        log::write(context.request_id, &Event::RegistrationRefused { reason });
        Ok(ApiError::Taken(taken))
    }
}

/// Whether registrations wait for the code from a mail.
fn waits_for_code(context: &Context<'_>) -> bool {
    context.config.email_verification == EmailVerification::Required
}

/// The code that verifies the address of the new account, if `EMAIL_VERIFICATION` is `optional`.
fn verification<'a>(
    context: &Context<'_>,
    request: &Request,
    user: &'a User,
    email: &'a Email,
    devices: &'a Devices,
) -> Result<Option<NewCode<'a>>, MailError> {
    if context.config.email_verification != EmailVerification::Optional {
        return Ok(None);
    }
    let recipient = Some(Recipient { user_id: user.id, credentials_version: 0, email: &user.email, is_proved: false });
    let requester = Requester::Anybody(devices);
    let code = CodeRequest { purpose: Purpose::Verify, kind: Kind::Verify, email, recipient, requester };
    mail::prepare(context, request, &code).map(Some)
}

/// Inserts a registration that waits for its code, and sends the code. An address that is taken has the same response and costs the same
/// work up to there: its user gets another mail, and sees the attempt in the audit trail.
async fn wait_for_code(
    context: &Context<'_>,
    request: &Request,
    new_user: &NewUser<'_>,
    found: &Availability,
    devices: &Devices,
) -> Result<Reply, ApiError> {
    let code = prepare_registration(context, request, new_user.id, new_user.email, found, devices)?;
    let (client, request_id, now) = (&request.client, context.request_id, context.now);
    context.store.insert_registration(new_user, &code, client, request_id, now).await?;
    if found.email_taken() {
        log::write(request_id, &Event::RegistrationRefused { reason: "email_taken" });
    }
    count_attempt_after_reply(context, request, new_user.email);
    accepted(mail::sent(context, &code))
}

/// Counts the attempt in the audit trail of the account with the address, if there is one, after the reply.
fn count_attempt_after_reply(context: &Context<'_>, request: &Request, email: &Email) {
    let (store, email, client) = (context.store.renewed(), email.clone(), request.client.clone());
    let (now, request_id, logs_costs) = (context.now, context.request_id, context.config.log_costs);
    context.background.wait_until(async move {
        // Let the runtime send the reply first.
        Delay::from(Duration::ZERO).await;
        if let Err(error) = store.count_registration_attempt(&email, &client, now).await {
            log::write(request_id, &Event::StorageFault { cause: &error.to_string() });
        }
        if logs_costs {
            log::write_costs(request_id, "RegistrationAttempts", None, store.costs());
        }
    });
}

/// Adds the errors of the members to a description.
#[cfg(feature = "openapi")]
pub fn describe_members(operation: Operation) -> Operation {
    use portcullis_core::account::metadata::MetadataError;
    use portcullis_core::identity::display_name::NameError;
    use portcullis_core::identity::email::EmailError;
    use portcullis_core::identity::username::UsernameError;
    operation
        .fails(ApiError::RegistrationClosed)
        .fails(ApiError::Taken(TakenName::Email))
        .fails(ApiError::Taken(TakenName::Username))
        .fails(ApiError::UnusableEmail(EmailError::Domain))
        .fails(ApiError::UnusableUsername(UsernameError::Malformed))
        .fails(ApiError::UnusableUsername(UsernameError::Reserved))
        .fails(ApiError::UnusableName("name", NameError))
        .fails(ApiError::UnusableMetadata("metadata", MetadataError::TooLong))
        .fails(ApiError::UnusableMetadata("metadata", MetadataError::TooDeep))
        .uses_storage()
}
