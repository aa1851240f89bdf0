//! The only place where sessions begin. Each needs a [`Proof`], which only a factor can create, so no sign-in method can skip it.
//!
//! Every function builds the whole reply before it writes to the store, so that nothing can fail once the session exists.

use std::rc::Rc;
use std::time::Duration;

use portcullis_core::account::audit::{AuditEvent, evictions_become_many};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::session::OwedMark;
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::mail::kind::Kind;
use portcullis_core::sign_in::{NextStep, next_step};
use portcullis_core::token::device::DeviceToken;
use portcullis_core::token::refresh::RefreshToken;
use worker::Delay;

use super::changes::{action, log_change, redemption};
use super::cookie::NewDelivery;
use super::delivery::{Delivered, access_expires_at, deliver};
use super::end::settle;
use super::{SessionError, log_failure};
use crate::context::Context;
use crate::factors::Proof;
use crate::factors::device::Devices;
use crate::factors::email_code::ProvedChallenge;
use crate::factors::password::{NewPassword, PasswordLogin, log_throttled};
use crate::http::{Reply, Request};
use crate::log::{self, Event};
use crate::mail::notice::notice;
use crate::mail::outbox;
use crate::metrics;
use crate::platform::random::random;
use crate::store::challenges::NewCode;
use crate::store::credentials::Credentials;
use crate::store::outbox::NewMail;
use crate::store::registration::NewUser;
use crate::store::sessions::{NewSession, SignIn};

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
    let notice = new_device_notice(context, request, &login.proof, devices)?;
    let sign_in = SignIn { name: Some(login.name), rehash, redemption, notice, ..SignIn::default() };
    begin(context, request, &login.proof, &login.user, &sign_in, delivery, devices).await
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
    let proof = proved.proof(reclaims).map_err(|_| SessionError::AccountChanged)?;
    let mut user = account.account.user.clone();
    if reclaims {
        user.email_verified = true;
        user.metadata = None;
    }
    let redemption = redemption(context, request, proved.challenge().id, user.id);
    // Without the sessions and devices from before, it is the first of the account.
    let notice = if reclaims { None } else { new_device_notice(context, request, &proof, devices)? };
    let sign_in = SignIn { redemption: Some(redemption), reclaims, notice, ..SignIn::default() };
    begin(context, request, &proof, &user, &sign_in, delivery, devices).await
}

async fn begin(
    context: &Context<'_>,
    request: &Request,
    proof: &Proof,
    user: &User,
    sign_in: &SignIn<'_>,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let session = new_session(context, proof, delivery)?;
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
    if insertion.has_notice {
        outbox::send_after_reply(context, sign_in.notice.iter().map(|notice| notice.id).collect());
    }
    if insertion.evicted > 0 {
        let (session_id, sessions) = (session.token.session_id(), insertion.evicted);
        Evicted { user_id: user.id, session_id, sessions, notice: evicted_notice }.count_after_reply(context, request);
    }
    let (session_id, rehashed) = (session.token.session_id(), sign_in.rehash.is_some());
    metrics::report(context, request, &Event::LoginSucceeded { user_id: user.id, session_id, rehashed });
    Ok(reply)
}

/// A registration that signs the user in at once.
pub struct Registration<'a> {
    /// The password.
    pub password: &'a NewPassword,
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
    let Registration { password, new_user, user, code, challenge } = *registration;
    let session = new_session(context, &password.proof, delivery)?;
    let device = new_device(context, &password.proof)?;
    let delivered = Delivered::new(&session, devices, &device).of_new_password(password);
    let reply = deliver(context, 201, user, &Delivered { challenge, ..delivered }).await?;
    let (client, request_id, now) = (&request.client, context.request_id, context.now);
    let inserted = context.store.insert_user(new_user, &session, code, client, request_id, now).await;
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
    let session = new_session(context, &new.proof, delivery)?;
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

fn new_session(context: &Context<'_>, proof: &Proof, delivery: NewDelivery) -> Result<NewSession, SessionError> {
    let NewDelivery { delivery, replaced } = delivery;
    let NextStep::Begin { amr } = next_step(&[proof.method()]) else {
        return Err(SessionError::Internal(format!("{:?} is not sufficient to sign in", proof.method())));
    };
    let expires_at = context.now.saturating_add(delivery.idle_ttl(context.config.refresh_idle_ttl));
    Ok(NewSession {
        user_id: proof.user_id(),
        credentials_version: proof.credentials_version(),
        amr,
        token: RefreshToken::first(Id::in_slot(proof.slot(), random()?), random()?),
        authenticated_at: context.now,
        expires_at,
        absolute_expires_at: context.now.saturating_add(context.config.session_ttl),
        access_expires_at: access_expires_at(context, expires_at),
        delivery,
        replaced,
        subject: proof.subject(),
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
