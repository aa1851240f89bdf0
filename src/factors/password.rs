//! Passwords as a factor.

use portcullis_core::account::caller::{AuthenticatedCaller, Caller};
use portcullis_core::account::throttle::{Name, Subject};
use portcullis_core::account::user::User;
use portcullis_core::id::{Id, Slot};
use portcullis_core::identity::email::Email;
use portcullis_core::identity::username::Username;
use portcullis_core::mail::kind::Kind;
use portcullis_core::password::{HashError, Hasher, Password, Verification};
use portcullis_core::sign_in::{self, Method};

use super::breach::is_breached;
use super::device::Devices;
use super::email_code::ProvedChallenge;
use super::hashing_queue::in_turn;
use super::{FactorError, Proof};
use crate::context::Context;
use crate::http::Request;
use crate::limits;
use crate::log::{self, Event};
use crate::mail::notice::notice;
use crate::mail::outbox;
use crate::metrics;
use crate::platform::random::random;
use crate::store::audit::Failure;
use crate::store::challenges::PendingRegistration;
use crate::store::credentials::{Credentials, LoginName, OwnCredentials};

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
    /// The name that was used.
    pub name: Subject,
}

/// A new password, hashed.
pub struct NewPassword {
    /// The proof that the user knows the password.
    pub proof: Proof,
    /// The hash to store.
    pub hash: String,
    /// Whether the password is in a data breach, if the configuration says to warn.
    pub is_breached: bool,
}

/// A new password that a user set by a mail, hashed.
pub struct ResetPassword {
    /// The hash to store.
    pub hash: String,
    /// Whether the password is in a data breach, if the configuration says to warn.
    pub is_breached: bool,
}

/// Verifies the password of an account.
///
/// 1. Ask the rate limiters: with device tokens, by the users of these; without, by source and name.
/// 2. Read the account and the waits. A malformed name is treated like an unknown one. An attempt from a known device of the
///    account counts against that device, any other against the name. If none of the tokens makes the device known to this
///    account, ask the limiters of source and name now.
/// 3. During a wait, refuse the attempt without verifying the password. After many failures in a row, refuse an unknown device that
///    brings no code from a mail (NIST SP 800-63B-4 §3.2.2), if this service sends mails. `code`: the one that it brings.
/// 4. Verify the password. For an unknown account do the same work, including counting the failure.
/// 5. Check whether the account is disabled. This comes last, so that a disabled account is answered like a wrong password.
pub async fn log_in(
    context: &Context<'_>,
    request: &Request,
    name: &RawLoginName<'_>,
    password: &str,
    code: Option<&ProvedChallenge>,
    devices: &Devices,
) -> Result<PasswordLogin, FactorError> {
    // 1.
    let users = devices.user_ids();
    limits::credentials(context, request, &users).await?;
    // No account has a password of this length, so skipping the work reveals nothing.
    let Ok(password) = Password::for_login(password) else {
        metrics::report(
            context,
            request,
            &Event::LoginFailed { user_id: None, reason: "password_too_long", name: None },
        );
        return Err(FactorError::InvalidCredentials);
    };
    let (email, username);
    let (found, name) = match *name {
        RawLoginName::Email(text) => {
            email = Email::parse(text).ok();
            let name = email.as_ref().map_or(Name::Malformed(text), |email| Name::Email(email.key()));
            (email.as_ref().map(LoginName::Email), name)
        }
        RawLoginName::Username(text) => {
            username = Username::parse(text).ok();
            let name = username.as_ref().map_or(Name::Malformed(text), |username| Name::Username(username.key()));
            (username.as_ref().map(LoginName::Username), name)
        }
    };
    let name = Subject::Name(context.config.name_key.hash(name));
    if users.is_empty() {
        limits::name(context, name).await?;
    }
    // 2.
    let subjects: Vec<_> = std::iter::once(name).chain(devices.subjects()).collect();
    let lookup = context.store.find_credentials(found.as_ref(), &subjects, context.now).await?;
    let credentials = lookup.credentials.as_ref();
    let device = credentials.and_then(|found| devices.find(found.user.id, found.version));
    // A device with too many failures is unknown for a day.
    let device = device.filter(|device| lookup.wait(*device).is_none());
    if !users.is_empty() && device.is_none() {
        limits::credentials(context, request, &[]).await?;
        limits::name(context, name).await?;
    }
    let subject = device.unwrap_or(name);
    let user_id = credentials.map(|found| found.user.id);
    let failure = Failure { subject, user_id, session_id: None };
    // 3.
    if let Some(seconds) = lookup.wait(subject) {
        return Err(throttled(context, seconds));
    }
    let is_of_user = |code: &ProvedChallenge| code.account().is_ok_and(|found| Some(found.account.user.id) == user_id);
    if code.is_some_and(|code| !is_of_user(code)) {
        return Err(FactorError::InvalidCode);
    }
    let needs_code = device.is_none() && lookup.failures(name) >= name.policy().max_failures;
    if needs_code && code.is_none() && context.config.mail.is_some() {
        return Err(FactorError::MailCodeRequired);
    }
    // 4.
    let Some(credentials) = lookup.credentials else {
        verify_dummy(context, request, subject, &password).await?;
        return Err(failed(context, request, &failure, "unknown_account").await?);
    };
    let user_id = credentials.user.id;
    let Some(stored) = &credentials.password_hash else {
        verify_dummy(context, request, subject, &password).await?;
        return Err(failed(context, request, &failure, "no_password").await?);
    };
    let (salt, price) = (random()?, context.config.hasher.price(&password, stored));
    let verified = in_turn(context, request, subject, price, |hasher| {
        Ok(match hasher.verify(&password, stored)? {
            Verification::Differs => None,
            // An outdated hash is replaced in the same turn.
            Verification::Matches { outdated } => Some(outdated.then(|| hasher.hash(&password, salt)).transpose()?),
        })
    });
    let verified: Result<_, HashError> = verified.await?;
    let invalid = |error| FactorError::Hash(format!("the password hash of user {user_id}: {error}"));
    let Some(new_hash) = verified.map_err(invalid)? else {
        return Err(failed(context, request, &failure, "wrong_password").await?);
    };
    // 5.
    if credentials.disabled {
        return Err(failed(context, request, &failure, "disabled").await?);
    }
    let Credentials { slot, version, .. } = credentials;
    let proof = Proof {
        user_id,
        slot,
        credentials_version: version,
        methods: std::iter::once(Method::Password).chain(code.map(|_| Method::Email)).collect(),
        account: credentials.account,
        subject: Some(subject),
        authenticated_at: context.now,
    };
    let rehash = new_hash.map(|new_hash| (stored.clone(), new_hash));
    Ok(PasswordLogin { proof, user: credentials.user, rehash, name })
}

/// Checks a new password against the rules, which refuse passwords made of the user's names or the organisation's words.
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
    let context_words = context.config.password_context_words.iter().map(String::as_str);
    let about: Vec<_> = about.iter().chain(names).copied().flatten().chain(context_words).collect();
    Password::for_registration(input, context.config.password_min_length, &about).map_err(FactorError::NewPassword)
}

/// Refuses a breached password, if configured. Then hashes the password of an account that is being created.
pub async fn register(
    context: &Context<'_>,
    request: &Request,
    user_id: Id,
    slot: Slot,
    email: &Email,
    password: &Password,
) -> Result<NewPassword, FactorError> {
    let account = Subject::Name(context.config.name_key.hash(Name::Email(email.key())));
    let (hash, is_breached) = hash_new(context, request, account, password).await?;
    let proof = Proof {
        user_id,
        slot,
        credentials_version: 0,
        methods: vec![Method::Password],
        account: sign_in::Account::default(),
        subject: None,
        authenticated_at: context.now,
    };
    Ok(NewPassword { proof, hash, is_breached })
}

/// Refuses a breached password, if configured. Then hashes the new password of a user who has proved to have the mailbox. It gives no
/// proof, so no session can begin.
pub async fn reset(
    context: &Context<'_>,
    request: &Request,
    user_id: Id,
    password: &Password,
) -> Result<ResetPassword, FactorError> {
    let (hash, is_breached) = hash_new(context, request, Subject::User(user_id), password).await?;
    Ok(ResetPassword { hash, is_breached })
}

/// The hash of a new password, and whether it is in a data breach.
async fn hash_new(
    context: &Context<'_>,
    request: &Request,
    account: Subject,
    password: &Password,
) -> Result<(String, bool), FactorError> {
    let is_breached = is_breached(context, password).await?;
    let (salt, price) = (random()?, context.config.hasher.cpu_micros());
    let hash = in_turn(context, request, account, price, |hasher| hasher.hash(password, salt)).await??;
    Ok((hash, is_breached))
}

/// Refuses a breached new password, if configured. Then verifies the current password of the caller (ASVS 6.2.3), and hashes the
/// new one in the same turn of the queue. An account without a password has none to verify.
pub async fn change(
    context: &Context<'_>,
    request: &Request,
    recent: &AuthenticatedCaller,
    own: &OwnCredentials,
    current: Option<&str>,
    new: &Password,
) -> Result<NewPassword, FactorError> {
    let caller = recent.caller;
    check_wait(context, own)?;
    let is_breached = is_breached(context, new).await?;
    let salt = random()?;
    let price = context.config.hasher.cpu_micros();
    let hash = match current {
        Some(current) => {
            verify_current(context, request, caller, own, current, price, |hasher| hasher.hash(new, salt)).await?
        }
        None if own.credentials.password_hash.is_some() => return Err(FactorError::WrongPassword),
        None => {
            in_turn(context, request, Subject::User(caller.user_id), price, |hasher| hasher.hash(new, salt)).await??
        }
    };
    let (user_id, slot) = (caller.user_id, own.credentials.slot);
    let credentials_version = own.credentials.version.saturating_add(1);
    let subject = Some(Subject::User(user_id));
    let proof = Proof { subject, ..Proof::renewed(recent, slot, credentials_version, own.credentials.account) };
    Ok(NewPassword { proof, hash, is_breached })
}

/// Verifies the password of the caller for a step-up.
pub async fn step_up(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    own: &OwnCredentials,
    password: &str,
) -> Result<Proof, FactorError> {
    check_wait(context, own)?;
    verify_current(context, request, caller, own, password, 0, |_| Ok(())).await?;
    let subject = Some(Subject::User(caller.user_id));
    Ok(Proof { subject, ..super::step_up(context, caller, own) }.with(Method::Password))
}

/// Verifies the password of a registration that waits for its code. A wrong one counts like a failed login with its address.
pub async fn confirm_registration(
    context: &Context<'_>,
    request: &Request,
    registration: &PendingRegistration,
    password: &str,
) -> Result<(), FactorError> {
    let password = Password::for_login(password).map_err(|_| FactorError::WrongPassword)?;
    let email = Email::parse(&registration.email).map_err(|_| FactorError::InvalidCode)?;
    let subject = Subject::Name(context.config.name_key.hash(Name::Email(email.key())));
    let lookup = context.store.find_credentials(None, &[subject], context.now).await?;
    if let Some(seconds) = lookup.wait(subject) {
        return Err(throttled(context, seconds));
    }
    let Some(stored) = &registration.password_hash else {
        verify_dummy(context, request, subject, &password).await?;
        let failure = Failure { subject, user_id: None, session_id: None };
        return Err(count_failure(context, request, &failure, "no_password", FactorError::WrongPassword).await?);
    };
    let price = context.config.hasher.price(&password, stored);
    match in_turn(context, request, subject, price, |hasher| hasher.verify(&password, stored)).await?? {
        Verification::Matches { .. } => Ok(()),
        Verification::Differs => {
            let failure = Failure { subject, user_id: None, session_id: None };
            Err(count_failure(context, request, &failure, "wrong_password", FactorError::WrongPassword).await?)
        }
    }
}

/// Refuses to confirm the password during a wait.
fn check_wait(context: &Context<'_>, own: &OwnCredentials) -> Result<(), FactorError> {
    own.wait.map_or(Ok(()), |seconds| Err(throttled(context, seconds)))
}

/// Verifies the current password of the caller and runs `then`, at `then_price`, in the same turn. The audit trail counts a wrong
/// password as a failed login. The throttle counts it against the user, not the name: failed logins of others must not delay
/// users who are signed in.
async fn verify_current<T>(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    own: &OwnCredentials,
    current: &str,
    then_price: u64,
    then: impl FnOnce(&Hasher) -> Result<T, HashError>,
) -> Result<T, FactorError> {
    let current = Password::for_login(current).map_err(|_| FactorError::WrongPassword)?;
    let account = Subject::User(caller.user_id);
    let Some(stored) = &own.credentials.password_hash else {
        verify_dummy(context, request, account, &current).await?;
        return Err(wrong_current(context, request, caller).await?);
    };
    let price = context.config.hasher.price(&current, stored).saturating_add(then_price);
    let verified = in_turn(context, request, account, price, |hasher| match hasher.verify(&current, stored)? {
        Verification::Differs => Ok(None),
        Verification::Matches { .. } => then(hasher).map(Some),
    });
    match verified.await?? {
        Some(value) => Ok(value),
        None => Err(wrong_current(context, request, caller).await?),
    }
}

async fn wrong_current(context: &Context<'_>, request: &Request, caller: Caller) -> Result<FactorError, FactorError> {
    let Caller { user_id, session_id } = caller;
    let failure = Failure { subject: Subject::User(user_id), user_id: Some(user_id), session_id: Some(session_id) };
    count_failure(context, request, &failure, "wrong_current_password", FactorError::WrongPassword).await
}

/// Does the work of one verification, for unknown accounts and accounts without a password.
async fn verify_dummy(
    context: &Context<'_>,
    request: &Request,
    account: Subject,
    password: &Password,
) -> Result<(), FactorError> {
    let price = context.config.hasher.cpu_micros();
    Ok(in_turn(context, request, account, price, |hasher| hasher.verify_dummy(password)).await??)
}

/// Counts a failed login and returns the error, which is the same for all reasons.
async fn failed(
    context: &Context<'_>,
    request: &Request,
    failure: &Failure,
    reason: &'static str,
) -> Result<FactorError, FactorError> {
    count_failure(context, request, failure, reason, FactorError::InvalidCredentials).await
}

/// Counts the failure of a login whose account changed after the password was verified.
pub async fn account_changed(
    context: &Context<'_>,
    request: &Request,
    login: &PasswordLogin,
) -> Result<FactorError, FactorError> {
    let subject = login.proof.subject.unwrap_or(login.name);
    let failure = Failure { subject, user_id: Some(login.user.id), session_id: None };
    failed(context, request, &failure, "account_changed").await
}

/// Counts a failed attempt, in the throttle and in the audit trail of the account, logs it, and returns `error`. If a wait has
/// begun since the account was read, it counts nothing and returns [`FactorError::Throttled`]. So of many guesses at once, those
/// that come too late get the same response, right or wrong. Failures without an account do the same work.
pub(super) async fn count_failure(
    context: &Context<'_>,
    request: &Request,
    failure: &Failure,
    reason: &'static str,
    error: FactorError,
) -> Result<FactorError, FactorError> {
    // Notices tell of failures of strangers only: the user knows of those of their own session or device. A wrong code in a sign-in may
    // be of a stranger who knows the password.
    let is_told = failure.subject.name().is_some()
        || (matches!(failure.subject, Subject::Factor(_)) && failure.session_id.is_none());
    let notice = if is_told { notice(context, request, Kind::Throttled)? } else { None };
    let (client, request_id) = (&request.client, context.request_id);
    let counted = context.store.count_failure(failure, notice.as_ref(), client, request_id, context.now).await?;
    if counted.has_notice {
        outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
    }
    if let Some(seconds) = counted.wait {
        return Ok(throttled(context, seconds));
    }
    let (user_id, name) = (failure.user_id, failure.subject.name());
    metrics::report(context, request, &Event::LoginFailed { user_id, reason, name });
    Ok(error)
}

/// The error of an attempt during a wait.
pub(super) fn throttled(context: &Context<'_>, seconds: u64) -> FactorError {
    log_throttled(context);
    FactorError::Throttled(seconds)
}

/// Logs an attempt during a wait, together with others of the same minute.
pub fn log_throttled(context: &Context<'_>) {
    if let Some(count) = context.tallies.throttled.add(context.now) {
        log::write(context.request_id, &Event::TooManyRequests { reason: "throttled", count });
    }
}
