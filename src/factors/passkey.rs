//! Passkeys as a factor.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_core::account::user::User;
use portcullis_core::id::{Id, Slot};
use portcullis_core::identity::display_name::Name;
use portcullis_core::sign_in::{self, Factors, Method};
use portcullis_core::webauthn::authentication;
use portcullis_core::webauthn::authenticator::default_name;
use portcullis_core::webauthn::ceremony::Ceremony;
use portcullis_core::webauthn::challenge::PasskeyPurpose;
use portcullis_core::webauthn::credential::{AuthenticationResponse, RegistrationResponse};
use portcullis_core::webauthn::options::{CreationOptions, CredentialDescriptor, RequestOptions, UserEntity};
use portcullis_core::webauthn::refusal::PasskeyRefusal;
use portcullis_core::webauthn::registration::{self, PasskeyRegistration};
use portcullis_core::webauthn::unverified::UnverifiedPasskey;

use super::proved::ProvedFactor;
use super::{FactorError, Proof};
use crate::context::Context;
use crate::http::Request;
use crate::log::{self, Event};
use crate::platform::random::random;
use crate::platform::webcrypto::{CryptoError, verify_passkey};
use crate::store::credentials::{Credentials, FoundPasskey};
use crate::store::factor_use::FactorUse;
use crate::store::factors::NewFactor;
use crate::store::passkeys::{NewPasskey, PasskeyUse};

/// A user who has proved to have a passkey.
pub struct PasskeyLogin {
    /// The proof.
    pub proof: Proof,
    /// The user.
    pub user: User,
    /// The use of the passkey, which the session that begins uses up.
    pub factor: FactorUse,
}

/// The options to use a passkey. They hold a challenge that is valid for this purpose.
pub fn request_options(context: &Context<'_>, purpose: PasskeyPurpose) -> Result<RequestOptions, CryptoError> {
    Ok(RequestOptions::new(&context.config.webauthn.party, challenge(context, purpose)?))
}

/// The options to register a passkey. `exclude`: the passkeys that the account has.
pub fn creation_options(
    context: &Context<'_>,
    purpose: PasskeyPurpose,
    user: UserEntity,
    exclude: Vec<CredentialDescriptor>,
) -> Result<CreationOptions, CryptoError> {
    let party = &context.config.webauthn.party;
    // Authenticators show the id of the service, because nothing proves its name.
    Ok(CreationOptions::new(party, party.id().to_owned(), user, challenge(context, purpose)?, exclude))
}

/// Verifies the passkey of a login.
pub async fn log_in(context: &Context<'_>, response: &AuthenticationResponse) -> Result<PasskeyLogin, FactorError> {
    let (owner, factor) = verify(context, response, PasskeyPurpose::Login).await?;
    Ok(PasskeyLogin { proof: proof(context, &owner), user: owner.user, factor })
}

/// Judges a passkey as a further proof of a sign-in or a step-up.
pub(super) async fn judge(
    context: &Context<'_>,
    response: &AuthenticationResponse,
    purpose: PasskeyPurpose,
) -> Result<ProvedFactor, FactorError> {
    let (_, used) = verify(context, response, purpose).await?;
    Ok(ProvedFactor { method: Method::Passkey, used })
}

/// A passkey that its user adds, and has just used.
pub struct AddedPasskey(NewPasskey);

impl AddedPasskey {
    /// Adds the passkey to the other proofs. Returns them and the factor to add.
    pub fn complete(self, proof: Proof) -> (Proof, NewFactor) {
        (proof.with(Method::Passkey), NewFactor::Passkey(self.0))
    }
}

/// An account to which a passkey is added.
pub const fn with_passkey(account: sign_in::Account) -> sign_in::Account {
    sign_in::Account { factors: Factors { passkey: true, ..account.factors }, ..account }
}

/// Checks the registration of another passkey of a user. `name`: how the user calls it.
pub async fn add(
    context: &Context<'_>,
    request: &Request,
    response: &RegistrationResponse,
    (user_id, session_id): (Id, Id),
    name: Option<&Name>,
) -> Result<AddedPasskey, FactorError> {
    let checked = registration::check(response, &ceremony(context), user_id, session_id);
    let PasskeyRegistration { credential, .. } = conclude(context, Some(user_id), checked).await?;
    let default = || default_name(&credential.aaguid, request.client.user_agent.as_deref());
    let name = name.map_or_else(default, |name| name.as_str().to_owned());
    Ok(AddedPasskey(NewPasskey { credential, name }))
}

/// A passkey of an account that is being created.
pub struct FirstPasskey {
    /// The id that the account gets.
    pub user_id: Id,
    /// The passkey.
    pub passkey: NewPasskey,
}

impl FirstPasskey {
    /// The proof of the account, once its slot is known.
    pub fn proof(&self, context: &Context<'_>, slot: Slot) -> Proof {
        Proof {
            user_id: self.user_id,
            slot,
            credentials_version: 0,
            methods: vec![Method::Passkey],
            account: sign_in::Account { factors: PASSKEY_ALONE, ..sign_in::Account::default() },
            subject: None,
            authenticated_at: context.now,
        }
    }
}

const PASSKEY_ALONE: Factors = Factors { totp: false, passkey: true };

/// Checks the registration of a passkey for a new account.
pub async fn register(
    context: &Context<'_>,
    request: &Request,
    response: &RegistrationResponse,
) -> Result<FirstPasskey, FactorError> {
    let checked = registration::check_new_account(response, &ceremony(context));
    let PasskeyRegistration { user_id, credential, .. } = conclude(context, None, checked).await?;
    let name = default_name(&credential.aaguid, request.client.user_agent.as_deref());
    Ok(FirstPasskey { user_id, passkey: NewPasskey { credential, name } })
}

/// The error of every passkey that is not accepted. The reason is in the log only.
pub fn refused(context: &Context<'_>, user_id: Option<Id>, reason: &'static str) -> FactorError {
    log::write(context.request_id, &Event::PasskeyRefused { user_id, reason });
    FactorError::PasskeyRefused
}

/// The error of a passkey whose response was used before, or whose account changed after it was verified.
pub fn too_late(context: &Context<'_>, user_id: Id) -> FactorError {
    refused(context, Some(user_id), "used_or_changed")
}

/// Verifies the use of a passkey. A disabled account has the error of an unknown passkey.
async fn verify(
    context: &Context<'_>,
    response: &AuthenticationResponse,
    purpose: PasskeyPurpose,
) -> Result<(Credentials, FactorUse), FactorError> {
    let found = context.store.find_passkey(response.id()).await?;
    let (credential, owner) = found.map(|FoundPasskey { credential, owner }| (credential, owner)).unzip();
    let user_id = owner.as_ref().map(|owner| owner.user.id);
    let policy = context.config.webauthn.counter;
    let checked = authentication::check(response, &ceremony(context), purpose, credential, policy);
    let used = conclude(context, user_id, checked).await?;
    let Some(owner) = owner.filter(|owner| !owner.disabled) else {
        return Err(refused(context, user_id, "disabled"));
    };
    if used.counter_went_back {
        log::write(context.request_id, &Event::PasskeyCounterWentBack { user_id: used.user_id });
    }
    let id = BASE64_URL_SAFE_NO_PAD.encode(response.id());
    Ok((owner, FactorUse::Passkey(PasskeyUse { id, used })))
}

/// Verifies the signature of a ceremony that passed the other checks. `user_id`: the owner of the passkey, for the log.
async fn conclude<T>(
    context: &Context<'_>,
    user_id: Option<Id>,
    checked: Result<UnverifiedPasskey<T>, PasskeyRefusal>,
) -> Result<T, FactorError> {
    let concluded = match checked {
        Ok(unverified) => {
            let outcome = verify_passkey(&unverified).await?;
            unverified.conclude(outcome)
        }
        Err(refusal) => Err(refusal),
    };
    concluded.map_err(|refusal| refused(context, user_id, refusal.as_str()))
}

fn proof(context: &Context<'_>, owner: &Credentials) -> Proof {
    Proof {
        user_id: owner.user.id,
        slot: owner.slot,
        credentials_version: owner.version,
        methods: vec![Method::Passkey],
        account: owner.account,
        subject: None,
        authenticated_at: context.now,
    }
}

fn ceremony<'c>(context: &Context<'c>) -> Ceremony<'c> {
    let config = context.config;
    Ceremony {
        relying_party: &config.webauthn.party,
        challenges: &config.passkey_challenge_keys,
        now: context.now,
        not_before: config.sessions_not_before,
    }
}

fn challenge(context: &Context<'_>, purpose: PasskeyPurpose) -> Result<String, CryptoError> {
    Ok(context.config.passkey_challenge_keys.seal(purpose, context.now, random()?))
}
