//! The only place where sessions begin. Each needs a [`Proof`], which only a factor can create, so no sign-in method can skip it.
//!
//! Every function builds the whole reply before it writes to the store, so that nothing can fail once the session exists.

use std::rc::Rc;
use std::time::Duration;

use portcullis_core::account::audit::{AuditEvent, RevocationReason, evictions_become_many};
use portcullis_core::account::caller::{AuthenticatedCaller, Caller};
use portcullis_core::account::roles;
use portcullis_core::account::session::{Delivery, OwedMark};
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::mail::kind::Kind;
use portcullis_core::sign_in::{self, Assurance, Method, NextStep};
use portcullis_core::token::device::DeviceToken;
use portcullis_core::token::mfa;
use portcullis_core::token::refresh::RefreshToken;
use worker::Delay;

use super::changes::{action, event_id, log_change, redemption};
use super::cookie::NewDelivery;
use super::delivery::{Delivered, access_expires_at, deliver};
use super::end::settle;
use super::enrolment::Enroller;
use super::{Incomplete, SessionError, log_failure};
use crate::context::Context;
use crate::factors::Proof;
use crate::factors::device::Devices;
use crate::factors::email_code::ProvedChallenge;
use crate::factors::passkey::PasskeyLogin;
use crate::factors::password::{NewPassword, PasswordLogin, log_throttled};
use crate::factors::recovery_code::NewCodes;
use crate::http::{Reply, Request};
use crate::log::{self, Event};
use crate::mail::notice::notice;
use crate::mail::outbox;
use crate::metrics;
use crate::platform::random::random;
use crate::store::challenges::NewCode;
use crate::store::credentials::Credentials;
use crate::store::factor_use::FactorUse;
use crate::store::factors::{Enrolment, NewFactor};
use crate::store::outbox::NewMail;
use crate::store::passkeys::NewPasskey;
use crate::store::registration::{First, NewUser};
use crate::store::sessions::{NewSession, SignIn};
use crate::store::sign_ins::{NewPendingSignIn, PendingSignIn};

/// Begins the session of a login.
///
/// One transaction begins the session, replaces an outdated hash and ends the sessions that exceed the maximum of the account.
///
/// Fails with [`SessionError::AccountChanged`] if the account has been disabled or its credentials changed since the proof, and with
/// [`SessionError::Throttled`] if failed attempts have begun a wait since then.
pub async fn log_in(
    context: &Context<'_>,
    request: &Request,
    login: &PasswordLogin,
    code: Option<&ProvedChallenge>,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let rehash = login.rehash.as_ref().map(|(old, new)| (old.as_str(), new.as_str()));
    let redemption = code.map(|code| redemption(context, request, code.challenge().id, login.user.id));
    let verifies_email = code.is_some() && !login.user.email_verified;
    let sign_in = SignIn { name: Some(login.name), rehash, redemption, verifies_email, ..SignIn::default() };
    let user = User { email_verified: login.user.email_verified || verifies_email, ..login.user.clone() };
    begin(context, request, &login.proof, &user, sign_in, delivery, devices).await
}

/// Begins the session of a login with a passkey, in the transaction that uses its response up.
pub async fn log_in_by_passkey(
    context: &Context<'_>,
    request: &Request,
    login: PasskeyLogin,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let PasskeyLogin { proof, user, factor } = login;
    let sign_in = SignIn { factor: Some(factor), ..SignIn::default() };
    begin(context, request, &proof, &user, sign_in, delivery, devices).await
}

/// Begins the session of a login by mail, in the transaction that spends its challenge. The first proof of the mailbox ends the sessions
/// that began before.
pub async fn log_in_by_mail(
    context: &Context<'_>,
    request: &Request,
    proved: &ProvedChallenge,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let account = proved.account().map_err(|_| SessionError::AccountChanged)?;
    let reclaims = !account.account.user.email_verified;
    let proof = proved.proof(context, reclaims).map_err(|_| SessionError::AccountChanged)?;
    let mut user = account.account.user.clone();
    if reclaims {
        user.email_verified = true;
        user.metadata = None;
    }
    let redemption = redemption(context, request, proved.challenge().id, user.id);
    let sign_in = SignIn { redemption: Some(redemption), reclaims, ..SignIn::default() };
    begin(context, request, &proof, &user, sign_in, delivery, devices).await
}

/// Says what is still needed, if a further proof of this method would not complete a sign-in.
pub fn check_completes(context: &Context<'_>, pending: &PendingSignIn, method: Method) -> Result<(), SessionError> {
    let methods: Vec<_> = pending.methods.iter().copied().chain([method]).collect();
    match sign_in::next_step(&methods, &pending.account, &context.config.policy) {
        NextStep::Begin { .. } => Ok(()),
        step => {
            let mfa_token = Some(mfa::encode(pending.id, &context.config.mfa_token_keys));
            Err(SessionError::Incomplete(Incomplete { step, mfa_token }))
        }
    }
}

/// Begins the session of a sign-in that was completed by a further proof, or says what is still needed.
///
/// `code`: the code from a mail that is the further proof. `factor`: the second factor that is.
pub async fn complete(
    context: &Context<'_>,
    request: &Request,
    pending: &PendingSignIn,
    proof: &Proof,
    code: Option<&ProvedChallenge>,
    factor: Option<FactorUse>,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let redemption = code.map(|code| redemption(context, request, code.challenge().id, pending.user.id));
    let verifies_email = code.is_some() && !pending.user.email_verified;
    let sign_in = SignIn { redemption, verifies_email, ..SignIn::default() };
    let step = proof.next_step(context.config.policy);
    if !matches!(step, NextStep::Begin { .. }) {
        let amr = amr_of(proof.methods());
        if code.is_some() && !context.store.add_email_proof(pending.id, &amr, &sign_in).await? {
            return Err(SessionError::AccountChanged);
        }
        let mfa_token = Some(mfa::encode(pending.id, &context.config.mfa_token_keys));
        return Err(SessionError::Incomplete(Incomplete { step, mfa_token }));
    }
    let delivery = NewDelivery::renewed(context, request, pending.delivery)?;
    let pending_key = Some((pending.id, pending.name_key.as_deref()));
    let passkey_id = pending.passkey_id.as_deref();
    let sign_in = SignIn { pending: pending_key, factor, passkey_id, ..sign_in };
    let user = User { email_verified: pending.user.email_verified || verifies_email, ..pending.user.clone() };
    begin(context, request, proof, &user, sign_in, delivery, devices).await
}

/// A caller who authenticated again.
pub struct StepUp<'a> {
    /// The caller.
    pub caller: Caller,
    /// What this request proved.
    pub proof: &'a Proof,
    /// The user.
    pub user: &'a User,
    /// The code from a mail.
    pub code: Option<&'a ProvedChallenge>,
    /// The second factor.
    pub factor: Option<FactorUse>,
}

/// Begins the session of a step-up, which replaces that of the caller.
pub async fn step_up(
    context: &Context<'_>,
    request: &Request,
    step_up: StepUp<'_>,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let StepUp { caller, proof, user, code, factor } = step_up;
    sufficient(context, proof)?;
    // The cookie of the session that ends is no other session.
    let replaced = delivery.replaced.filter(|token| token.session_id() != caller.session_id);
    let delivery = NewDelivery { replaced, ..delivery };
    let redemption = code.map(|code| redemption(context, request, code.challenge().id, user.id));
    let verifies_email = code.is_some() && !user.email_verified;
    let user = &User { email_verified: user.email_verified || verifies_email, ..user.clone() };
    let renewed = Some(caller.session_id);
    let sign_in = SignIn { redemption, verifies_email, factor, renewed, ..SignIn::default() };
    begin(context, request, proof, user, sign_in, delivery, devices).await
}

/// The `amr` values of proofs that are not sufficient yet.
fn amr_of(methods: &[Method]) -> String {
    let values: Vec<_> = methods.iter().flat_map(|method| method.amr()).copied().collect();
    values.join(" ")
}

/// Begins the session, or stores the sign-in until the further proof that it needs.
async fn begin(
    context: &Context<'_>,
    request: &Request,
    proof: &Proof,
    user: &User,
    sign_in: SignIn<'_>,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let amr = match proof.next_step(context.config.policy) {
        NextStep::Begin { amr } => amr,
        step => return Err(suspend(context, request, proof, step, &sign_in, delivery.delivery).await?),
    };
    // A reclaimed account has no devices from before, and a step-up is on the device of its session.
    let is_no_news = sign_in.reclaims || sign_in.renewed.is_some();
    let new_device_mail = if is_no_news { None } else { new_device_notice(context, request, proof, devices)? };
    let sign_in = SignIn { notice: new_device_mail, ends_reset: proof.ends_reset(), ..sign_in };
    let sign_in = &sign_in;
    let passkey_id = sign_in.factor.as_ref().and_then(FactorUse::passkey_id).or(sign_in.passkey_id);
    let session =
        NewSession { passkey_id: passkey_id.map(str::to_owned), ..new_session(context, proof, user, amr, delivery)? };
    let device = new_device(context, proof)?;
    let reply = deliver(context, 200, user, &Delivered::new(&session, devices, &device)).await?;
    let evicted_notice = notice(context, request, Kind::Evicted)?;
    let (max_sessions, request_id) = (context.config.max_sessions, context.request_id);
    let ending =
        context.store.insert_session(&session, sign_in, &request.client, max_sessions, request_id, context.now).await;
    let insertion = settle(context, ending).await?;
    if let Some(seconds) = insertion.wait {
        log_throttled(context);
        return Err(SessionError::Throttled(seconds));
    }
    if !insertion.has_begun {
        return Err(SessionError::AccountChanged);
    }
    log_replaced(context, insertion.replaced);
    if let Some(session_id) = sign_in.renewed {
        let reason = RevocationReason::Renewed.as_str();
        log::write(context.request_id, &Event::Revoked { user_id: user.id, session_id, reason });
    }
    let new_device_mail = sign_in.notice.as_ref().filter(|_| insertion.has_notice).map(|notice| notice.id);
    let factor_mail = sign_in.factor.as_ref().and_then(FactorUse::notice).map(|notice| notice.id);
    outbox::send_after_reply(context, new_device_mail.into_iter().chain(factor_mail).collect());
    if insertion.evicted > 0 {
        let (session_id, sessions) = (session.token.session_id(), insertion.evicted);
        Evicted { user_id: user.id, session_id, sessions, notice: evicted_notice }.count_after_reply(context, request);
    }
    let (session_id, rehashed) = (session.token.session_id(), sign_in.rehash.is_some());
    metrics::report(context, request, &Event::LoginSucceeded { user_id: user.id, session_id, rehashed });
    Ok(reply)
}

/// Stores a sign-in that needs a further proof, in the transaction that spends its challenge. Returns what is needed.
async fn suspend(
    context: &Context<'_>,
    request: &Request,
    proof: &Proof,
    step: NextStep,
    sign_in: &SignIn<'_>,
    delivery: Delivery,
) -> Result<SessionError, SessionError> {
    let pending = new_pending(proof, delivery)?;
    let (client, request_id) = (&request.client, context.request_id);
    let inserting = context.store.insert_pending_sign_in(&pending, sign_in, client, request_id, context.now).await;
    let inserted = settle(context, inserting).await?;
    if let Some(seconds) = inserted.wait {
        log_throttled(context);
        return Ok(SessionError::Throttled(seconds));
    }
    if !inserted.has_begun {
        return Ok(SessionError::AccountChanged);
    }
    let mfa_token = Some(mfa::encode(pending.id, &context.config.mfa_token_keys));
    Ok(SessionError::Incomplete(Incomplete { step, mfa_token }))
}

fn new_pending(proof: &Proof, delivery: Delivery) -> Result<NewPendingSignIn, SessionError> {
    Ok(NewPendingSignIn {
        id: Id::new(random()?),
        user_id: proof.user_id(),
        credentials_version: proof.credentials_version(),
        amr: amr_of(proof.methods()),
        delivery,
        subject: proof.subject(),
    })
}

/// A registration that signs the user in at once.
pub struct Registration<'a> {
    /// The proof of the account.
    pub proof: &'a Proof,
    /// Its password.
    pub password: Option<&'a NewPassword>,
    /// Its recovery codes.
    pub codes: Option<&'a NewCodes>,
    /// The account.
    pub new_user: &'a NewUser<'a>,
    /// The same account, for the response.
    pub user: &'a User,
    /// The code that verifies the address.
    pub code: Option<&'a NewCode<'a>>,
    /// The challenge of that code, for the response.
    pub challenge: Option<&'a str>,
}

/// Inserts an account and begins its first session, in one transaction.
pub async fn register(
    context: &Context<'_>,
    request: &Request,
    registration: &Registration<'_>,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let Registration { proof, password, codes, new_user, user, code, challenge } = *registration;
    let passkey = new_user.passkey.as_ref().map(|first| first.passkey);
    let (client, request_id, now) = (&request.client, context.request_id, context.now);
    let amr = match proof.next_step(context.config.policy) {
        NextStep::Begin { amr } => amr,
        // The account exists then, and its first sign-in goes on.
        step => {
            let pending = new_pending(proof, delivery.delivery)?;
            let first = First::SignIn(&pending);
            context.store.insert_user(new_user, first, code, client, request_id, now).await?;
            metrics::report(context, request, &Event::Registered { user_id: user.id, session_id: None });
            let mfa_token = Some(mfa::encode(pending.id, &context.config.mfa_token_keys));
            return Err(SessionError::Incomplete(Incomplete { step, mfa_token }));
        }
    };
    let passkey_id = passkey.map(NewPasskey::id);
    let session = NewSession { passkey_id, ..new_session(context, proof, user, amr, delivery)? };
    let device = new_device(context, proof)?;
    let delivered = Delivered {
        is_breached: password.is_some_and(|password| password.is_breached),
        challenge,
        passkey: passkey.map(|passkey| passkey.passkey(now)),
        recovery_codes: codes.map(|codes| codes.codes.as_slice()),
        ..Delivered::new(&session, devices, &device)
    };
    let reply = deliver(context, 201, user, &delivered).await?;
    let first = First::Session(&session);
    let inserted = context.store.insert_user(new_user, first, code, client, request_id, now).await;
    log_replaced(context, settle(context, inserted).await?);
    let session_id = Some(session.token.session_id());
    metrics::report(context, request, &Event::Registered { user_id: user.id, session_id });
    Ok(reply)
}

/// Stores a new password, ends every session of the user and begins a new one, in one transaction. The current session ends too,
/// because its tokens may have been stolen (ASVS 7.2.4). The new one is delivered like the current one.
pub async fn change_password(
    context: &Context<'_>,
    request: &Request,
    caller: Caller,
    credentials: &Credentials,
    new: &NewPassword,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let amr = sufficient(context, &new.proof)?;
    let session = new_session(context, &new.proof, &credentials.user, amr, delivery)?;
    let device = new_device(context, &new.proof)?;
    let reply =
        deliver(context, 200, &credentials.user, &Delivered::new(&session, devices, &device).of_new_password(new))
            .await?;
    let action = action(context, request, caller);
    let notice = notice(context, request, Kind::PasswordChanged)?;
    let version = credentials.version;
    let ending = context.store.change_password(&action, version, &new.hash, &session, notice.as_ref()).await;
    let (ended, replaced) = settle(context, ending).await?;
    log_replaced(context, replaced);
    log_change(context, caller.user_id, None, AuditEvent::PasswordChanged, ended);
    outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
    Ok(reply)
}

/// A factor that a user adds.
pub struct Enrolled<'a> {
    /// What the new session has proved, the factor included.
    pub proof: &'a Proof,
    /// The factor.
    pub factor: NewFactor,
    /// The recovery codes of an account that had none.
    pub codes: Option<&'a NewCodes>,
    /// The status of the reply.
    pub status: u16,
}

/// Adds a factor, ends every session of the user and begins a new one, in one transaction: no session remains that began without the
/// factor.
///
/// Fails with [`SessionError::AccountChanged`] if the account or the session has changed, or if the factor was added by another request.
pub async fn enrol(
    context: &Context<'_>,
    request: &Request,
    enroller: &Enroller,
    new: &Enrolled<'_>,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let Enrolled { proof, factor, codes, status } = new;
    let user = enroller.user();
    let amr = sufficient(context, proof)?;
    let passkey_id = factor.passkey().map(NewPasskey::id);
    let session = NewSession { passkey_id, ..new_session(context, proof, user, amr, delivery)? };
    let device = new_device(context, proof)?;
    let delivered = Delivered {
        passkey: factor.passkey().map(|passkey| passkey.passkey(context.now)),
        recovery_codes: codes.map(|codes| codes.codes.as_slice()),
        ..Delivered::new(&session, devices, &device)
    };
    let reply = deliver(context, *status, user, &delivered).await?;
    let detail = factor.detail();
    let notice = notice(context, request, Kind::FactorAdded)?;
    let notice = notice.map(|notice| NewMail { detail: Some(&detail), ..notice });
    let enrolment = Enrolment {
        by: enroller.conditions(),
        factor,
        detail: &detail,
        code_hashes: codes.map(|codes| codes.hashes.as_str()),
        notice: notice.as_ref(),
        ends_reset: proof.ends_reset(),
        event_id: &event_id(context),
        request_id: context.request_id,
        client: &request.client,
    };
    let ending = context.store.enrol(&enrolment, &session, context.now).await;
    let (ended, replaced) = settle(context, ending).await?.ok_or(SessionError::AccountChanged)?;
    log_replaced(context, replaced);
    log_change(context, user.id, None, AuditEvent::FactorAdded, ended);
    outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
    Ok(reply)
}

/// Changes the address after the codes of both mails, ends every session of the user and begins a new one, in one transaction. The new one
/// is delivered like the current one.
pub async fn change_email(
    context: &Context<'_>,
    request: &Request,
    caller: &AuthenticatedCaller,
    proved: &ProvedChallenge,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let account = proved.account().map_err(|_| SessionError::AccountChanged)?;
    let (email, email_key) = proved.new_email().map_err(|_| SessionError::AccountChanged)?;
    let own = context.store.find_own_credentials(caller.caller, context.now).await?;
    let delivery = NewDelivery::renewed(context, request, own.delivery)?;
    let user = User { email: email.to_owned(), email_verified: true, ..account.account.user.clone() };
    let version = account.credentials_version.saturating_add(1);
    let facts = sign_in::Account { email_verified: true, ..account.sign_in };
    let proof = Proof::renewed(caller, account.slot, version, facts);
    let amr = sufficient(context, &proof)?;
    let session = new_session(context, &proof, &user, amr, delivery)?;
    let device = new_device(context, &proof)?;
    let reply = deliver(context, 200, &user, &Delivered::new(&session, devices, &device)).await?;
    let notice = notice(context, request, Kind::EmailChanged)?.map(|notice| NewMail { detail: Some(email), ..notice });
    let redemption = redemption(context, request, proved.challenge().id, user.id);
    let new = (email, email_key);
    let ending = context.store.change_email(&redemption, caller.caller, new, &session, notice.as_ref()).await;
    let (ended, replaced) = settle(context, ending).await?.ok_or(SessionError::AccountChanged)?;
    log_replaced(context, replaced);
    log_change(context, user.id, None, AuditEvent::EmailChanged, ended);
    outbox::send_after_reply(context, notice.iter().map(|notice| notice.id).collect());
    Ok(reply)
}

/// Says what else a step-up needs, if these proofs and one of this method are not sufficient.
pub fn check_sufficient(context: &Context<'_>, proof: &Proof, method: Method) -> Result<(), SessionError> {
    match proof.next_step_with(method, context.config.policy) {
        NextStep::Begin { .. } => Ok(()),
        step => Err(SessionError::Incomplete(Incomplete { step, mfa_token: None })),
    }
}

/// The `amr` values of a proof that needs no other.
fn sufficient(context: &Context<'_>, proof: &Proof) -> Result<String, SessionError> {
    match proof.next_step(context.config.policy) {
        NextStep::Begin { amr } => Ok(amr),
        step => Err(SessionError::Incomplete(Incomplete { step, mfa_token: None })),
    }
}

/// The sessions that a login ended because the account exceeds its maximum.
struct Evicted {
    user_id: Id,
    /// The session that began.
    session_id: Id,
    /// Their number.
    sessions: u64,
    /// The mail that tells the user once they become many.
    notice: Option<NewMail<'static>>,
}

impl Evicted {
    /// Counts them in the audit trail after the reply, and logs if they are many.
    fn count_after_reply(self, context: &Context<'_>, request: &Request) {
        let Self { user_id, session_id, sessions, notice } = self;
        let (config, env) = (Rc::clone(context.config), context.env.clone());
        let (store, client) = (context.store.renewed(), request.client.clone());
        let (now, request_id, logs_costs) = (context.now, context.request_id, context.config.log_costs);
        context.background.wait_until(async move {
            // Let the runtime send the reply first.
            Delay::from(Duration::ZERO).await;
            match store.count_evicted_sessions(user_id, session_id, sessions, notice.as_ref(), &client, now).await {
                Ok(Some(count)) if evictions_become_many(count, sessions) => {
                    log::write(request_id, &Event::SessionsEvictedOften { user_id, session_id, count });
                    let ids: Vec<_> = notice.iter().map(|notice| notice.id).collect();
                    outbox::send(&config, &env, &store, request_id, &ids).await;
                }
                Ok(_) => {}
                Err(error) => log_failure(request_id, &error),
            }
            if logs_costs {
                log::write_costs(request_id, "Evictions", None, store.costs());
            }
        });
    }
}

/// Logs the session that ended because its cookie was replaced. It may belong to another user.
fn log_replaced(context: &Context<'_>, replaced: Option<OwedMark>) {
    if let Some(OwedMark { user_id, session_id, .. }) = replaced {
        log::write(context.request_id, &Event::Revoked { user_id, session_id, reason: "replaced" });
    }
}

fn new_session(
    context: &Context<'_>,
    proof: &Proof,
    user: &User,
    amr: String,
    delivery: NewDelivery,
) -> Result<NewSession, SessionError> {
    let NewDelivery { delivery, replaced } = delivery;
    let config = context.config;
    let is_privileged = Assurance::of_amr(amr.split(' ')) == Some(Assurance::Aal2) || roles::is_admin(&user.roles);
    let ttl = if is_privileged { config.session_ttl.min(config.aal2_session_ttl) } else { config.session_ttl };
    let absolute_expires_at = context.now.saturating_add(ttl);
    let idle_end = context.now.saturating_add(delivery.idle_ttl(config.refresh_idle_ttl));
    let expires_at = idle_end.min(absolute_expires_at);
    Ok(NewSession {
        user_id: proof.user_id(),
        credentials_version: proof.credentials_version(),
        amr,
        token: RefreshToken::first(Id::in_slot(proof.slot(), random()?), random()?),
        authenticated_at: proof.authenticated_at(),
        expires_at,
        absolute_expires_at,
        access_expires_at: access_expires_at(context, expires_at),
        delivery,
        replaced,
        subject: proof.subject(),
        passkey_id: None,
    })
}

/// The notice of a login from a device that the user does not know; `None` for a known one.
fn new_device_notice(
    context: &Context<'_>,
    request: &Request,
    proof: &Proof,
    devices: &Devices,
) -> Result<Option<NewMail<'static>>, SessionError> {
    match devices.find(proof.user_id(), proof.credentials_version()) {
        Some(_) => Ok(None),
        None => Ok(notice(context, request, Kind::NewDevice)?),
    }
}

/// A token for the device that signs in. It is always of a new device, so that a copy of an old token keeps its failures.
fn new_device(context: &Context<'_>, proof: &Proof) -> Result<DeviceToken, SessionError> {
    Ok(DeviceToken::new(proof.user_id(), proof.credentials_version(), Id::new(random()?), context.now))
}
