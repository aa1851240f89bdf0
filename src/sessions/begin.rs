//! The only place where sessions begin. Each needs a [`Proof`], which only a factor can create, so no sign-in method can skip it.
//!
//! Every function builds the whole reply before it writes to the store, so that nothing can fail once the session exists.

use std::time::Duration;

use portcullis_core::account::audit::{AuditEvent, evictions_become_many};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::session::OwedMark;
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::sign_in::{NextStep, next_step};
use portcullis_core::token::device::DeviceToken;
use portcullis_core::token::refresh::RefreshToken;
use worker::Delay;

use super::changes::{action, log_change};
use super::cookie::NewDelivery;
use super::delivery::{Delivered, access_expires_at, deliver};
use super::end::settle;
use super::{SessionError, log_failure};
use crate::context::Context;
use crate::factors::Proof;
use crate::factors::device::Devices;
use crate::factors::password::{NewPassword, PasswordLogin, log_throttled};
use crate::http::{Reply, Request};
use crate::log::{self, Event};
use crate::metrics;
use crate::platform::random::random;
use crate::store::credentials::Credentials;
use crate::store::registration::NewUser;
use crate::store::sessions::NewSession;

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
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let PasswordLogin { proof, user, rehash, name } = login;
    let session = new_session(context, proof, delivery)?;
    let device = new_device(context, proof)?;
    let reply = deliver(context, 200, user, &Delivered::new(&session, devices, &device)).await?;
    let rehash = rehash.as_ref().map(|(old, new)| (old.as_str(), new.as_str()));
    let max_sessions = context.config.max_sessions;
    let ending =
        context.store.insert_session(&session, *name, &request.client, rehash, max_sessions, context.now).await;
    let insertion = settle(context, ending).await?;
    if let Some(seconds) = insertion.wait {
        log_throttled(context);
        return Err(SessionError::Throttled(seconds));
    }
    if !insertion.has_begun {
        return Err(SessionError::AccountChanged);
    }
    log_replaced(context, insertion.replaced);
    if insertion.evicted > 0 {
        let evicted = Evicted { user_id: user.id, session_id: session.token.session_id(), sessions: insertion.evicted };
        evicted.count_after_reply(context, request);
    }
    let (session_id, rehashed) = (session.token.session_id(), rehash.is_some());
    metrics::report(context, request, &Event::LoginSucceeded { user_id: user.id, session_id, rehashed });
    Ok(reply)
}

/// Inserts an account and begins its first session, in one transaction.
pub async fn register(
    context: &Context<'_>,
    request: &Request,
    new: &NewPassword,
    new_user: &NewUser<'_>,
    user: &User,
    delivery: NewDelivery,
    devices: &Devices,
) -> Result<Reply, SessionError> {
    let session = new_session(context, &new.proof, delivery)?;
    let device = new_device(context, &new.proof)?;
    let reply = deliver(context, 201, user, &Delivered::new(&session, devices, &device).of_new_password(new)).await?;
    let inserted = context.store.insert_user(new_user, &session, &request.client, context.now).await;
    log_replaced(context, settle(context, inserted).await?);
    let session_id = session.token.session_id();
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
    let ending = context.store.change_password(&action, credentials.version, &new.hash, &session).await;
    let (ended, replaced) = settle(context, ending).await?;
    log_replaced(context, replaced);
    log_change(context, caller.user_id, None, AuditEvent::PasswordChanged, ended);
    Ok(reply)
}

/// The sessions that a login ended because the account exceeds its maximum.
struct Evicted {
    user_id: Id,
    /// The session that began.
    session_id: Id,
    /// Their number.
    sessions: u64,
}

impl Evicted {
    /// Counts them in the audit trail after the reply, and logs if they are many.
    fn count_after_reply(self, context: &Context<'_>, request: &Request) {
        let Self { user_id, session_id, sessions } = self;
        let (store, client) = (context.store.renewed(), request.client.clone());
        let (now, request_id, logs_costs) = (context.now, context.request_id, context.config.log_costs);
        context.background.wait_until(async move {
            // Let the runtime send the reply first.
            Delay::from(Duration::ZERO).await;
            match store.count_evicted_sessions(user_id, session_id, sessions, &client, now).await {
                Ok(Some(count)) if evictions_become_many(count, sessions) => {
                    log::write(request_id, &Event::SessionsEvictedOften { user_id, session_id, count });
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

/// A token for the device that signs in. It is always of a new device, so that a copy of an old token keeps its failures.
fn new_device(context: &Context<'_>, proof: &Proof) -> Result<DeviceToken, SessionError> {
    Ok(DeviceToken::new(proof.user_id(), proof.credentials_version(), Id::new(random()?), context.now))
}
