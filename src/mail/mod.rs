//! Mails: requests for them, within budgets, and the outbox from which they are sent.

pub mod change;
pub mod notice;
pub mod outbox;
pub mod registration;
mod sender;

use portcullis_core::account::throttle::Subject;
use portcullis_core::id::Id;
use portcullis_core::identity::email::Email;
use portcullis_core::mail::budget::{Budget, mailbox};
use portcullis_core::mail::challenge::Purpose;
use portcullis_core::mail::kind::Kind;
use portcullis_core::mail::locale::Locale;
use portcullis_core::token::device::DeviceToken;

use crate::config::Mail;
use crate::context::Context;
use crate::http::Request;
use crate::platform::random::random;
use crate::platform::webcrypto::CryptoError;
use crate::store::StoreError;
use crate::store::challenges::{AdminCode, Budgets, NewChallenge, NewCode};
use crate::store::outbox::NewMail;

/// Why a mail cannot be requested.
#[derive(Debug)]
pub enum MailError {
    /// This service sends no mails.
    Off,
    /// The runtime failed.
    Crypto(CryptoError),
    /// Storage failed.
    Store(StoreError),
}

impl From<CryptoError> for MailError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}

impl From<StoreError> for MailError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The account to which a mail goes.
#[derive(Clone, Copy)]
pub struct Recipient<'a> {
    /// The account.
    pub user_id: Id,
    /// The version of its credentials.
    pub credentials_version: u64,
    /// Its address, as stored.
    pub email: &'a str,
    /// Whether somebody has proved to have the mailbox. Otherwise it may be a stranger's.
    pub is_proved: bool,
}

/// Who asks for a mail, which decides whose budget it uses.
#[derive(Clone, Copy)]
pub enum Requester<'a> {
    /// Somebody who may be a known device of the recipient.
    Anybody(&'a [DeviceToken]),
    /// The signed-in user.
    User(Id),
}

/// A mail with a code that a request asks for.
pub struct CodeRequest<'a> {
    /// What the code is for.
    pub purpose: Purpose,
    /// The kind of mail.
    pub kind: Kind,
    /// The address in the request, or of the signed-in user.
    pub email: &'a Email,
    /// The account with this address.
    pub recipient: Option<Recipient<'a>>,
    /// Who asks.
    pub requester: Requester<'a>,
}

/// Makes a challenge and sends its code after the reply. Returns the challenge, for every address and within every limit: the response must
/// not tell whether an account has the address. Each request makes a row of its own, so that nobody can make another's code invalid.
pub async fn send_code(context: &Context<'_>, request: &Request, code: &CodeRequest<'_>) -> Result<String, MailError> {
    let code = prepare(context, request, code)?;
    let NewCode { budgets, challenge, mail } = &code;
    let (mails, client) = (std::slice::from_ref(mail), &request.client);
    context.store.insert_challenge(budgets, challenge, mails, client, context.request_id, context.now).await?;
    Ok(sent(context, &code))
}

/// Prepares a challenge and its mail, for the transaction that inserts them.
pub fn prepare<'a>(context: &Context<'_>, request: &Request, code: &CodeRequest<'a>) -> Result<NewCode<'a>, MailError> {
    let locale = locale(context, request)?;
    let recipient = code.recipient;
    let challenge = NewChallenge {
        id: Id::new(random()?),
        salt: Id::new(random()?),
        purpose: code.purpose,
        user: recipient.map(|recipient| (recipient.user_id, recipient.credentials_version)),
        email_key: code.email.key(),
        new_email: None,
        roles: None,
        source: source(context, request).map(|(source, _)| source).unwrap_or_default(),
        locale,
    };
    let mail = NewMail {
        id: Id::new(random()?),
        kind: code.kind,
        user_id: recipient.map(|recipient| recipient.user_id),
        // Mails go to the address of the account, never to its spelling in a request.
        email: recipient.map(|recipient| recipient.email),
        locale,
        detail: None,
    };
    let budgets = budgets(context, request, code.purpose, code.email, recipient, code.requester);
    Ok(NewCode { budgets, challenge, mail })
}

/// Sends the mail of an inserted challenge after the reply. Returns the challenge for the client.
pub fn sent(context: &Context<'_>, code: &NewCode<'_>) -> String {
    outbox::send_after_reply(context, vec![code.mail.id]);
    context.config.challenge_keys.seal(code.challenge.id)
}

/// Prepares a challenge that an admin makes for an account, and its mail. No budget of strangers limits it.
pub fn prepare_for_admin(
    context: &Context<'_>,
    request: &Request,
    purpose: Purpose,
    kind: Kind,
    roles: Option<String>,
) -> Result<AdminCode, MailError> {
    let locale = locale(context, request)?;
    let (id, salt, mail_id) = (Id::new(random()?), Id::new(random()?), Id::new(random()?));
    Ok(AdminCode { id, salt, mail_id, purpose, kind, roles, locale })
}

/// Sends the mail of a challenge again, with the same code, after the reply. Does nothing for a challenge that is not live or of another
/// purpose; the response is the same. Returns the challenge.
pub async fn send_code_again(
    context: &Context<'_>,
    request: &Request,
    challenge: &str,
    purpose: Purpose,
    kind: Kind,
    requester: Requester<'_>,
) -> Result<String, MailError> {
    let locale = locale(context, request)?;
    if let Some(id) = context.config.challenge_keys.open(challenge)
        && let Some(found) = context.store.find_challenge(id, context.now).await?
        && found.purpose == purpose
        && let Ok(email) = Email::parse(&found.email_key)
    {
        let mail_id = Id::new(random()?);
        let redeemable = found.redeemable();
        let recipient = redeemable.map(|account| Recipient {
            user_id: account.account.user.id,
            credentials_version: account.credentials_version,
            email: &account.account.user.email,
            is_proved: account.account.user.email_verified,
        });
        let mail = NewMail {
            id: mail_id,
            kind,
            user_id: recipient.map(|recipient| recipient.user_id),
            email: recipient.map(|recipient| recipient.email),
            locale,
            detail: None,
        };
        let budgets = budgets(context, request, purpose, &email, recipient, requester);
        let (client, request_id, now) = (&request.client, context.request_id, context.now);
        context.store.send_challenge_again(&budgets, id, &[mail], client, request_id, now).await?;
        outbox::send_after_reply(context, vec![mail_id]);
    }
    Ok(challenge.to_owned())
}

/// The language of the mails that a request causes.
fn locale(context: &Context<'_>, request: &Request) -> Result<Locale, MailError> {
    Ok(config(context)?.locales.choose(request.accept_language().as_deref()))
}

/// The budgets that a mail uses. A known device and a signed-in user have their own; strangers share those of the source, its network, the
/// mailbox and the day.
fn budgets(
    context: &Context<'_>,
    request: &Request,
    purpose: Purpose,
    email: &Email,
    recipient: Option<Recipient<'_>>,
    requester: Requester<'_>,
) -> Budgets {
    let own = match requester {
        Requester::User(id) => Some(format!("user:{id}")),
        Requester::Anybody(devices) => recipient
            .and_then(|recipient| Subject::of_known_device(devices, recipient.user_id, recipient.credentials_version))
            .map(|device| device.to_string()),
    };
    let is_proved = recipient.is_some_and(|recipient| recipient.is_proved);
    Budgets(match own {
        Some(own) => of_user(context, own, purpose, email, is_proved),
        None => of_strangers(context, request, purpose, email),
    })
}

/// The budget of a known device or a signed-in user. Until the mailbox is proved, all accounts with it share a further one: anybody can
/// register somebody else's address, in many spellings, and sign in from many devices.
fn of_user(
    context: &Context<'_>,
    own: String,
    purpose: Purpose,
    email: &Email,
    is_proved: bool,
) -> Vec<(String, Budget)> {
    let mut budgets = vec![(own, Budget::address(purpose.ttl()))];
    if !is_proved {
        budgets.push(of_unproved(context, purpose, email));
    }
    budgets
}

/// The budget that the accounts with a mailbox share which nobody has proved to have.
fn of_unproved(context: &Context<'_>, purpose: Purpose, email: &Email) -> (String, Budget) {
    let mailbox = context.config.challenge_keys.hash(&mailbox(email));
    (format!("unproved:{mailbox}"), Budget::address(purpose.ttl()))
}

/// The budgets of the source, its network, the mailbox and the day.
fn of_strangers(context: &Context<'_>, request: &Request, purpose: Purpose, email: &Email) -> Vec<(String, Budget)> {
    let mut budgets = Vec::new();
    if let Some((source, network)) = source(context, request) {
        budgets.push((format!("source:{source}"), Budget::SOURCE));
        budgets.extend(network.map(|network| (format!("network:{network}"), Budget::NETWORK)));
    }
    let mailbox = context.config.challenge_keys.hash(&mailbox(email));
    // A reset is often the only way back into an account, so the others cannot use its mails up.
    let is_reset = purpose == Purpose::Reset;
    let kind = if is_reset { "reset" } else { "address" };
    budgets.push((format!("{kind}:{mailbox}"), Budget::address(purpose.ttl())));
    let daily_limit = context.config.mail.as_ref().map_or(0, |mail| mail.daily_limit);
    if !is_reset && daily_limit > 0 {
        budgets.push(("strangers".to_owned(), Budget::strangers(daily_limit)));
    }
    budgets
}

/// Hashes of the source of a request and of its network, if they are known.
fn source(context: &Context<'_>, request: &Request) -> Option<(String, Option<String>)> {
    let source = request.source(context.config.source_proxy.as_ref())?;
    let hash = |text: String| context.config.challenge_keys.hash(&text);
    Some((hash(source.to_string()), source.network().map(hash)))
}

fn config<'a>(context: &'a Context<'_>) -> Result<&'a Mail, MailError> {
    context.config.mail.as_ref().ok_or(MailError::Off)
}
