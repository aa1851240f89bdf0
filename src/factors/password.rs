//! Passwords as a factor.

use portcullis_core::account::caller::Caller;
use portcullis_core::account::user::User;
use portcullis_core::id::{Id, Slot};
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use portcullis_core::password::hashing_queue::Account;
use portcullis_core::password::{HashError, Hasher, Password, Verification};
use portcullis_core::sign_in::Method;

use super::hashing_queue::in_turn;
use super::{FactorError, Proof};
use crate::context::Context;
use crate::http::Request;
use crate::log::{self, Event};
use crate::platform::random::random;
use crate::store::StoreError;
use crate::store::credentials::{Credentials, LoginName};

/// The name in a login request, not yet parsed.
pub enum RawLoginName<'a> {
    /// An e-mail address.
    Email(&'a str),
    /// A username.
    Username(&'a str),
}

/// The result of a password login.
pub struct PasswordLogin {
    /// The proof.
    pub proof: Proof,
    /// The owner of the account.
    pub user: User,
    /// An outdated hash and its replacement.
    pub rehash: Option<(String, String)>,
}

/// A new password, hashed.
pub struct NewPassword {
    /// The proof that the user knows the password.
    pub proof: Proof,
    /// The hash to store.
    pub hash: String,
}

/// Verifies the password of an account.
///
/// 1. Read the account. A malformed name is treated like an unknown one.
/// 2. Verify the password. For an unknown account do the same work, including counting the failure.
/// 3. Check last whether the account is disabled.
pub async fn log_in(
    context: &Context<'_>,
    request: &Request,
    name: &RawLoginName<'_>,
    password: &str,
) -> Result<PasswordLogin, FactorError> {
    // No account has a password of this length, so skipping the work reveals nothing.
    let Ok(password) = Password::for_login(password) else {
        log::write(context.request_id, &Event::LoginFailed { user_id: None, reason: "password_too_long" });
        return Err(FactorError::InvalidCredentials);
    };
    // 1.
    let (credentials, account) = find_credentials(context, name).await?;
    // 2.
    let Some(credentials) = credentials else {
        verify_dummy(context, request, &account, &password).await?;
        return Err(failed(context, request, None, "unknown_account").await?);
    };
    let user_id = credentials.user.id;
    let Some(stored) = &credentials.password_hash else {
        verify_dummy(context, request, &account, &password).await?;
        return Err(failed(context, request, Some(user_id), "no_password").await?);
    };
    let (salt, price) = (random()?, context.config.hasher.price(&password, stored));
    let verified = in_turn(context, request, &account, price, |hasher| {
        Ok(match hasher.verify(&password, stored)? {
            Verification::Differs => None,
            // An outdated hash is replaced in the same turn.
            Verification::Matches { outdated } => Some(outdated.then(|| hasher.hash(&password, salt)).transpose()?),
        })
    });
    let verified: Result<_, HashError> = verified.await?;
    let invalid = |error| FactorError::Hash(format!("the password hash of user {user_id}: {error}"));
    let Some(new_hash) = verified.map_err(invalid)? else {
        return Err(failed(context, request, Some(user_id), "wrong_password").await?);
    };
    // 3.
    if credentials.disabled {
        return Err(failed(context, request, Some(user_id), "disabled").await?);
    }
    let Credentials { slot, version, .. } = credentials;
    let proof = Proof { user_id, slot, credentials_version: version, method: Method::Password };
    let rehash = new_hash.map(|new_hash| (stored.clone(), new_hash));
    Ok(PasswordLogin { proof, user: credentials.user, rehash })
}

/// Checks a new password against the rules, which refuse passwords made of the user's names.
pub fn check_new(
    context: &Context<'_>,
    input: &str,
    email: Option<&Email>,
    names: &[Option<&str>],
) -> Result<Password, FactorError> {
    let issuer = context.config.parties.issuer.as_str();
    let about = [
        email.map(Email::key),
        email.map(Email::local_key),
        Some(issuer),
        issuer.split_once("://").map(|(_, address)| address),
    ];
    let about: Vec<_> = about.iter().chain(names).copied().flatten().collect();
    Password::for_registration(input, context.config.password_min_length, &about).map_err(FactorError::NewPassword)
}

/// Hashes the password of an account that is being created.
pub async fn register(
    context: &Context<'_>,
    request: &Request,
    user_id: Id,
    slot: Slot,
    email: &Email,
    password: &Password,
) -> Result<NewPassword, FactorError> {
    let (salt, price) = (random()?, context.config.hasher.cpu_micros());
    let account = Account::Email(email.key().to_owned());
    let hash = in_turn(context, request, &account, price, |hasher| hasher.hash(password, salt)).await??;
    let proof = Proof { user_id, slot, credentials_version: 0, method: Method::Password };
    Ok(NewPassword { proof, hash })
}

/// Verifies the current password of the caller (ASVS 6.2.3), and hashes the new one in the same turn.
pub async fn change(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    credentials: &Credentials,
    current: &str,
    new: &Password,
) -> Result<NewPassword, FactorError> {
    let salt = random()?;
    let hasher = &context.config.hasher;
    let hash = verify_current(context, request, caller, credentials, current, hasher.cpu_micros(), |hasher| {
        hasher.hash(new, salt)
    });
    let hash = hash.await?;
    let credentials_version = credentials.version.saturating_add(1);
    let proof =
        Proof { user_id: caller.user_id, slot: credentials.slot, credentials_version, method: Method::Password };
    Ok(NewPassword { proof, hash })
}

/// Verifies the current password of the caller.
pub async fn confirm(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    credentials: &Credentials,
    current: &str,
) -> Result<(), FactorError> {
    verify_current(context, request, caller, credentials, current, 0, |_| Ok(())).await
}

/// Verifies the current password of the caller and runs `then`, at `then_price`, in the same turn. A wrong password counts as a failed
/// login.
async fn verify_current<T>(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    credentials: &Credentials,
    current: &str,
    then_price: u64,
    then: impl FnOnce(&Hasher) -> Result<T, HashError>,
) -> Result<T, FactorError> {
    let current = Password::for_login(current).map_err(|_| FactorError::WrongPassword)?;
    let account = Account::User(caller.user_id);
    let Some(stored) = &credentials.password_hash else {
        verify_dummy(context, request, &account, &current).await?;
        return Err(wrong_current(context, request, caller).await?);
    };
    let price = context.config.hasher.price(&current, stored).saturating_add(then_price);
    let verified = in_turn(context, request, &account, price, |hasher| match hasher.verify(&current, stored)? {
        Verification::Differs => Ok(None),
        Verification::Matches { .. } => then(hasher).map(Some),
    });
    match verified.await?? {
        Some(value) => Ok(value),
        None => Err(wrong_current(context, request, caller).await?),
    }
}

async fn wrong_current(context: &Context<'_>, request: &Request, caller: Caller) -> Result<FactorError, FactorError> {
    let (user_id, session_id) = (Some(caller.user_id), Some(caller.session_id));
    count_failure(context, request, user_id, session_id, "wrong_current_password").await?;
    Ok(FactorError::WrongPassword)
}

async fn find_credentials(
    context: &Context<'_>,
    name: &RawLoginName<'_>,
) -> Result<(Option<Credentials>, Account), StoreError> {
    // The queue counts requests by name, whether the account exists or not.
    Ok(match *name {
        RawLoginName::Email(text) => match Email::parse(text) {
            Ok(email) => {
                let credentials = context.store.find_credentials(&LoginName::Email(&email)).await?;
                (credentials, Account::Email(email.key().to_owned()))
            }
            Err(_) => (None, Account::Malformed(text.to_owned())),
        },
        RawLoginName::Username(text) => match Username::parse(text) {
            Ok(username) => {
                let credentials = context.store.find_credentials(&LoginName::Username(&username)).await?;
                (credentials, Account::Username(username.key().to_owned()))
            }
            Err(_) => (None, Account::Malformed(text.to_owned())),
        },
    })
}

/// Does the work of one verification, for unknown accounts and accounts without a password.
async fn verify_dummy(
    context: &Context<'_>,
    request: &Request,
    account: &Account,
    password: &Password,
) -> Result<(), FactorError> {
    let price = context.config.hasher.cpu_micros();
    Ok(in_turn(context, request, account, price, |hasher| hasher.verify_dummy(password)).await??)
}

/// Counts a failed login and returns the error, which is the same for all reasons.
pub async fn failed(
    context: &Context<'_>,
    request: &Request,
    user_id: Option<Id>,
    reason: &'static str,
) -> Result<FactorError, FactorError> {
    count_failure(context, request, user_id, None, reason).await?;
    Ok(FactorError::InvalidCredentials)
}

/// Logs a failed login and counts it in the audit trail of the account. Failures without an account share one row, so that both cases
/// do the same work.
async fn count_failure(
    context: &Context<'_>,
    request: &Request,
    user_id: Option<Id>,
    session_id: Option<Id>,
    reason: &'static str,
) -> Result<(), StoreError> {
    log::write(context.request_id, &Event::LoginFailed { user_id, reason });
    context.store.count_failed_login(user_id, session_id, &request.client, context.now).await
}
