//! The senders: how a mail leaves this service.

use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::mail::delivery::Outcome;
use portcullis_core::mail::message::{self, Mail, Message};
use portcullis_core::mail::originator::Originator;
use portcullis_core::mail::webhook::WebhookSecret;
use serde::Serialize;
use worker::Env;

use crate::config::{Config, Mail as MailConfig, Sender};
use crate::log::{self, Event};
use crate::platform::clock::now_millis;
use crate::platform::fetch::{OutgoingRequest, deliver};
use crate::platform::mail::{SendFailure, send as send_by_binding};

/// Maximum time of a request, in milliseconds.
const MAX_MILLIS: u64 = 10_000;
/// Maximum size of a response that is read, in bytes. What it contains does not matter.
const MAX_BYTES: usize = 64 * 1024;

/// A mail with the id that it keeps over all attempts.
pub struct Letter<'a> {
    pub id: Id,
    pub mail: Mail<'a>,
    /// When its code expires, in unix seconds.
    pub expires_at: Option<u64>,
}

/// A mail as Cloudflare's binding takes it.
#[derive(Serialize)]
struct BindingMail<'a> {
    from: BindingAddress<'a>,
    to: &'a str,
    #[serde(flatten)]
    parts: Parts<'a>,
}

#[derive(Serialize)]
struct BindingAddress<'a> {
    email: &'a str,
    name: &'a str,
}

/// A mail as HTTP APIs of the Resend kind take it.
#[derive(Serialize)]
struct HttpMail<'a> {
    from: String,
    to: [&'a str; 1],
    #[serde(flatten)]
    parts: Parts<'a>,
}

#[derive(Serialize)]
struct Parts<'a> {
    subject: &'a str,
    text: &'a str,
    html: &'a str,
    headers: Headers,
}

/// The headers of a mail.
#[derive(Serialize)]
struct Headers {
    /// RFC 3834 §5: no automatic replies to it.
    #[serde(rename = "Auto-Submitted")]
    auto_submitted: &'static str,
    /// By which a mail that was sent twice can be recognised.
    #[serde(rename = "X-Portcullis-Mail")]
    id: Id,
}

/// The event that the webhook gets.
#[derive(Serialize)]
struct WebhookEvent<'a> {
    r#type: &'static str,
    kind: &'static str,
    to: &'a str,
    code: Option<&'a str>,
    link: Option<&'a str>,
    other_link: Option<&'a str>,
    expires_at: Option<u64>,
    locale: &'static str,
    at: u64,
    ip: Option<&'a str>,
    user_agent: Option<&'a str>,
    detail: Option<&'a str>,
}

/// Sends a mail by the configured sender.
pub async fn send(config: &Config, mail: &MailConfig, env: &Env, request_id: Id, letter: &Letter<'_>) -> Outcome {
    match &mail.sender {
        Sender::Log => {
            let Mail { kind, email: to, code, link, .. } = letter.mail;
            log::write(request_id, &Event::Mail { kind: kind.as_str(), to, code, link });
            Outcome::Accepted
        }
        Sender::Binding { from } => by_binding(env, from, letter, &words(config, mail, letter)).await,
        Sender::Http { from, url, key } => by_http(url, key, from, letter, &words(config, mail, letter)).await,
        Sender::Webhook { url, secret } => by_webhook(url, secret, letter).await,
    }
}

/// The words of a mail.
fn words(config: &Config, mail: &MailConfig, letter: &Letter<'_>) -> Message {
    let sender = message::Sender {
        app_name: &mail.app_name,
        support_url: mail.support_url.as_deref(),
        account_url: &format!("{}/account", config.parties.issuer),
    };
    message::render(&letter.mail, &sender)
}

async fn by_binding(env: &Env, from: &Originator, letter: &Letter<'_>, message: &Message) -> Outcome {
    let mail = BindingMail {
        from: BindingAddress { email: &from.address, name: from.name.as_deref().unwrap_or_default() },
        to: &address(letter),
        parts: parts(letter, message),
    };
    match send_by_binding(env, &mail).await {
        Ok(()) => Outcome::Accepted,
        Err(SendFailure::NoBinding) => Outcome::delayed("no_binding"),
        Err(SendFailure::Failed(code)) => Outcome::of_code(code.as_deref()),
    }
}

async fn by_http(url: &str, key: &str, from: &Originator, letter: &Letter<'_>, message: &Message) -> Outcome {
    let mail = HttpMail { from: from.to_string(), to: [&address(letter)], parts: parts(letter, message) };
    let (authorization, id) = (format!("Bearer {key}"), letter.id.to_string());
    post(url, &mail, |_| vec![("Authorization", authorization), ("Idempotency-Key", id)]).await
}

async fn by_webhook(url: &str, secret: &WebhookSecret, letter: &Letter<'_>) -> Outcome {
    let Mail { kind, locale, email: to, code, link, other_link, at, ip, user_agent, detail, .. } = letter.mail;
    let event = WebhookEvent {
        r#type: "mail",
        kind: kind.as_str(),
        to,
        code,
        link,
        other_link,
        expires_at: letter.expires_at,
        locale: locale.as_str(),
        at,
        ip,
        user_agent,
        detail,
    };
    let (id, timestamp) = (letter.id.to_string(), now_millis() / 1000);
    let sign = |body: &str| {
        let signature = secret.sign(&id, timestamp, body);
        vec![("webhook-id", id.clone()), ("webhook-timestamp", timestamp.to_string()), ("webhook-signature", signature)]
    };
    post(url, &event, sign).await
}

/// Posts JSON. `headers`: the headers for a body, besides its type.
async fn post(url: &str, body: &impl Serialize, headers: impl FnOnce(&str) -> Vec<(&'static str, String)>) -> Outcome {
    // Plain data always serializes.
    let Ok(body) = serde_json::to_string(body) else { return Outcome::delayed("unserializable") };
    let headers = headers(&body);
    let fixed = [("Content-Type", "application/json"), ("User-Agent", "Portcullis")];
    let headers: Vec<_> =
        fixed.into_iter().chain(headers.iter().map(|(name, value)| (*name, value.as_str()))).collect();
    let request = OutgoingRequest {
        method: "POST",
        url,
        headers: &headers,
        body: Some(&body),
        max_millis: MAX_MILLIS,
        max_bytes: MAX_BYTES,
    };
    match deliver(&request).await {
        Ok(receipt) => Outcome::of_status(receipt.status, receipt.retry_after.as_deref(), now_millis() / 1000),
        Err(error) => Outcome::delayed(error.as_str()),
    }
}

fn parts<'a>(letter: &Letter<'_>, message: &'a Message) -> Parts<'a> {
    let headers = Headers { auto_submitted: "auto-generated", id: letter.id };
    Parts { subject: &message.subject, text: &message.text, html: &message.html, headers }
}

/// The address of the recipient. An imported one may be invalid under today's rules; then the sender judges it.
fn address(letter: &Letter<'_>) -> String {
    Email::parse(letter.mail.email).map_or_else(|_| letter.mail.email.to_owned(), |email| email.deliverable())
}
