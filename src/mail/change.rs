//! Changes of address: the mails that ask for one, and the pending changes.

use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;

use super::notice;
use super::{MailError, config, of_strangers, of_user, outbox, source};
use crate::config::{Config, Mail};
use crate::context::Context;
use crate::http::Request;
use crate::log::{self, Event};
use crate::platform::clock::now_millis;
use crate::platform::random::random;
use crate::store::audit::ActionContext;
use crate::store::challenges::{Budgets, NewChallenge};
use crate::store::credentials::Credentials;
use crate::store::email_changes::{ChangeMails, EmailChange};
use crate::store::outbox::NewMail;
use crate::store::{Store, StoreError};

/// Maximum number of pending changes of one run of the scheduled event.
const MAX_DUE: u64 = 20;

/// Sends a code to the new address and one to the old. `email`: the old address. Returns the challenge, whether the new address is free or
/// not and within every limit. The mails use the budget of the user and those of strangers: with an account, nobody can cause more mails
/// to an address than without.
pub async fn send_codes(
    context: &Context<'_>,
    request: &Request,
    action: &ActionContext<'_>,
    own: &Credentials,
    email: &Email,
    new_email: &Email,
) -> Result<String, MailError> {
    let locale = config(context)?.locales.choose(request.accept_language().as_deref());
    let (id, new_id, old_id) = (Id::new(random()?), Id::new(random()?), Id::new(random()?));
    let user_id = own.user.id;
    let challenge = NewChallenge {
        id,
        salt: Id::new(random()?),
        purpose: Purpose::Change,
        user: Some((user_id, own.version)),
        email_key: email.key(),
        new_email: Some(new_email),
        roles: None,
        source: source(context, request).map(|(source, _)| source).unwrap_or_default(),
        locale,
    };
    let old = NewMail {
        id: old_id,
        kind: Kind::ChangeOld,
        user_id: Some(user_id),
        email: Some(&own.user.email),
        locale,
        detail: Some(new_email.address()),
    };
    let user = format!("user:{user_id}");
    let mut budgets = of_user(context, user, Purpose::Change, email, own.user.email_verified);
    budgets.extend(of_strangers(context, request, Purpose::Change, new_email));
    let mails = ChangeMails { new_id, old };
    context.store.request_email_change(action, &Budgets(budgets), &challenge, &mails, context.request_id).await?;
    outbox::send_after_reply(context, vec![new_id, old_id]);
    Ok(context.config.challenge_keys.seal(id))
}

/// Takes the steps of pending changes that are due: sends notices and changes addresses. Each step is one transaction that takes effect
/// once. Without mails nothing happens: a change must not follow notices that nobody got.
pub async fn take_due_steps(config: &Config, store: &Store, run_id: Id) {
    let Some(mail) = &config.mail else { return };
    let now = now_millis() / 1000;
    let taken = async {
        for pending in store.find_due_email_changes(MAX_DUE, now).await? {
            take_step(config, mail, store, run_id, &pending, now).await?;
        }
        Ok(())
    };
    if let Err(error) = taken.await {
        fault(run_id, &error);
    }
}

async fn take_step(
    config: &Config,
    mail: &Mail,
    store: &Store,
    run_id: Id,
    pending: &EmailChange,
    now: u64,
) -> Result<(), StoreError> {
    let schedule = pending.schedule();
    let kind = if schedule.is_notified() { Kind::EmailChanged } else { Kind::EmailChangePending };
    let Ok(notice) = notice::new(mail, None, kind) else { return Ok(()) };
    // One that is refused is dropped without further notices.
    if !schedule.is_notified() && schedule.requested_at >= config.sessions_not_before {
        return store.remind_of_email_change(pending, schedule.after_notice(now), &notice, now).await;
    }
    let notice = NewMail { detail: Some(&pending.new_email), ..notice };
    match store.complete_email_change(pending, &notice, &run_id.to_string(), now).await {
        Ok(Some((event, sessions_ended))) => {
            let event = Event::AccountChanged {
                user_id: pending.user_id,
                admin_id: None,
                change: event.as_str(),
                sessions_ended,
            };
            log::write(run_id, &event);
        }
        Ok(None) => {}
        // The change of one account must not stop those of others.
        Err(error) => fault(run_id, &error),
    }
    Ok(())
}

fn fault(run_id: Id, error: &StoreError) {
    log::write(run_id, &Event::StorageFault { cause: &error.to_string() });
}
