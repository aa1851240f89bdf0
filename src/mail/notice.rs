//! Notices: mails that tell users what happened to their account.

use portcullis_core::id::Id;
use portcullis_core::mail::kind::Kind;

use crate::config::Mail;
use crate::context::Context;
use crate::http::Request;
use crate::platform::random::random;
use crate::platform::webcrypto::CryptoError;
use crate::store::outbox::NewMail;

/// A notice to the user whose account a request changes; `None` if no mails are sent.
pub fn notice(context: &Context<'_>, request: &Request, kind: Kind) -> Result<Option<NewMail<'static>>, CryptoError> {
    let language = request.accept_language();
    context.config.mail.as_ref().map(|mail| new(mail, language.as_deref(), kind)).transpose()
}

/// A notice. The store fills in the account and the address.
pub fn new(mail: &Mail, language: Option<&str>, kind: Kind) -> Result<NewMail<'static>, CryptoError> {
    let locale = mail.locales.choose(language);
    Ok(NewMail { id: Id::new(random()?), kind, user_id: None, email: None, locale, detail: None })
}
