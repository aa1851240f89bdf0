//! The mails of registrations that wait for their code.

use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use portcullis_core::token::device::DeviceToken;

use super::{CodeRequest, MailError, Recipient, Requester, budgets, locale, outbox, prepare, send_code};
use crate::context::Context;
use crate::http::Request;
use crate::platform::random::random;
use crate::store::challenges::NewCode;
use crate::store::outbox::NewMail;
use crate::store::registration::Availability;

/// Prepares the code of a registration. If an account has the address, its user is told so instead, and no code is right. If the address is
/// reserved, nobody is told.
pub fn prepare_registration<'a>(
    context: &Context<'_>,
    request: &Request,
    id: Id,
    email: &'a Email,
    found: &'a Availability,
    devices: &'a [DeviceToken],
) -> Result<NewCode<'a>, MailError> {
    let is_free = !found.email_taken();
    let recipient =
        is_free.then(|| Recipient { user_id: id, credentials_version: 0, email: email.address(), is_proved: false });
    let kind = if found.owner.is_some() { Kind::AccountExists } else { Kind::Register };
    let requester = Requester::Anybody(devices);
    let mut code =
        prepare(context, request, &CodeRequest { purpose: Purpose::Register, kind, email, recipient, requester })?;
    if let Some(owner) = &found.owner {
        code.mail.user_id = Some(owner.user_id);
        code.mail.email = owner.email.as_deref();
    }
    Ok(code)
}

/// Sends the mail of a registration again: with the same code, or with a new one if it has expired. `None` if the challenge is not that
/// of a registration. Only the age of the challenge decides, so the response does not tell what became of the registration.
pub async fn send_again(
    context: &Context<'_>,
    request: &Request,
    challenge: &str,
    devices: &[DeviceToken],
) -> Result<Option<String>, MailError> {
    let Some(id) = context.config.challenge_keys.open(challenge) else { return Ok(None) };
    let Some(found) = context.store.find_registration_challenge(id, context.now).await? else { return Ok(None) };
    let Ok(email) = Email::parse(&found.email_key) else { return Ok(None) };
    let recipient = found.user_id.zip(found.email.as_deref());
    let recipient =
        recipient.map(|(user_id, email)| Recipient { user_id, credentials_version: 0, email, is_proved: false });
    let (purpose, requester) = (Purpose::Register, Requester::Anybody(devices));
    if !found.is_live() {
        let code = CodeRequest { purpose, kind: Kind::Register, email: &email, recipient, requester };
        return send_code(context, request, &code).await.map(Some);
    }
    let mail = NewMail {
        id: Id::new(random()?),
        kind: Kind::Register,
        user_id: recipient.map(|recipient| recipient.user_id),
        email: recipient.map(|recipient| recipient.email),
        locale: locale(context, request)?,
        detail: None,
    };
    let mail_id = mail.id;
    let budgets = budgets(context, request, purpose, &email, recipient, requester);
    let (client, request_id, now) = (&request.client, context.request_id, context.now);
    context.store.send_challenge_again(&budgets, id, &[mail], client, request_id, now).await?;
    outbox::send_after_reply(context, vec![mail_id]);
    Ok(Some(challenge.to_owned()))
}
