//! Who may change the factors of an account.

use portcullis_core::account::caller::AuthenticatedCaller;
use portcullis_core::account::session::Delivery;
use portcullis_core::account::user::User;
use portcullis_core::id::{Id, Slot};
use portcullis_core::sign_in::{self, Method, NextStep, next_step};
use portcullis_core::token::mfa::{self, MFA_TOKEN};

use super::bearer::recent_caller;
use super::{Incomplete, SessionError};
use crate::context::Context;
use crate::factors::{Proof, pending};
use crate::http::Request;
use crate::limits;
use crate::store::credentials::OwnCredentials;
use crate::store::factors::Enrolling;
use crate::store::sign_ins::PendingSignIn;

/// A caller who may change factors, and the account.
pub struct FactorChanger {
    /// The caller.
    pub caller: AuthenticatedCaller,
    /// The account.
    pub own: OwnCredentials,
}

/// A user who adds a factor.
pub enum Enroller {
    /// A caller who authenticated recently.
    Caller(Box<FactorChanger>),
    /// A sign-in whose session begins once the user has a factor.
    SignIn(Box<PendingSignIn>),
}

/// The caller of a change of factors: one who authenticated recently, and used no recovery code within a day after a reset of the password.
/// One round trip.
pub async fn factor_changer(context: &Context<'_>, request: &Request) -> Result<FactorChanger, SessionError> {
    let caller = recent_caller(context, request).await?;
    let own = context.store.find_own_credentials(caller.caller, context.now).await?;
    if caller.must_wait_for_factors(own.password_reset_at, context.now) {
        return Err(SessionError::RecoveryDelay);
    }
    Ok(FactorChanger { caller, own })
}

/// The user who adds a factor. The bearer token is an access token, or the `mfa_token` of a sign-in that needs a factor first. One round
/// trip.
pub async fn enroller(context: &Context<'_>, request: &Request) -> Result<Enroller, SessionError> {
    let token = request.bearer()?;
    if !token.starts_with(MFA_TOKEN.prefix) {
        let changer = factor_changer(context, request).await?;
        changer.check_mailbox(context)?;
        return Ok(Enroller::Caller(Box::new(changer)));
    }
    let Some(id) = mfa::parse(token, &context.config.mfa_token_keys) else {
        limits::bad_token(context, request).await?;
        return Err(SessionError::MfaToken);
    };
    limits::writes(context, id).await?;
    let pending = context.store.find_sign_in(id, context.now).await?.ok_or(SessionError::MfaToken)?;
    match next_step(&pending.methods, &pending.account, &context.config.policy) {
        NextStep::NeedsEnrolment => Ok(Enroller::SignIn(Box::new(pending))),
        // The configuration has changed since.
        NextStep::Begin { .. } => Err(SessionError::MfaToken),
        step => Err(SessionError::Incomplete(Incomplete { step, mfa_token: Some(token.to_owned()) })),
    }
}

impl FactorChanger {
    /// For the first factor, the caller must have proved the mailbox when the session began, if this service sends mails: whoever knows only
    /// the password would otherwise keep the owner out with a factor of their own. The address must be verified,
    /// because the first proof of its mailbox would delete the factor.
    fn check_mailbox(&self, context: &Context<'_>) -> Result<(), SessionError> {
        let account = self.own.credentials.account;
        let is_proved = account.factors.any() || self.caller.methods.contains(&Method::Email);
        if !context.config.policy.sends_mails || (is_proved && account.email_verified) {
            return Ok(());
        }
        Err(SessionError::Incomplete(Incomplete { step: NextStep::NeedsVerifiedEmail, mfa_token: None }))
    }
}

impl Enroller {
    /// The user.
    pub fn user(&self) -> &User {
        match self {
            Self::Caller(changer) => &changer.own.credentials.user,
            Self::SignIn(pending) => &pending.user,
        }
    }

    /// The session of the caller or the sign-in, to which the challenge of a passkey is bound.
    pub fn id(&self) -> Id {
        match self {
            Self::Caller(changer) => changer.caller.caller.session_id,
            Self::SignIn(pending) => pending.id,
        }
    }

    /// What decides which proofs a sign-in needs.
    pub fn account(&self) -> sign_in::Account {
        match self {
            Self::Caller(changer) => changer.own.credentials.account,
            Self::SignIn(pending) => pending.account,
        }
    }

    /// How the new session is delivered.
    pub fn delivery(&self) -> Delivery {
        match self {
            Self::Caller(changer) => changer.own.delivery,
            Self::SignIn(pending) => pending.delivery,
        }
    }

    /// Checks that the new session will have two factors: the account has a password, and the user proved it or a passkey. A code of an
    /// authenticator app and a mailbox are not two factors.
    pub fn check_first_factor(&self) -> Result<(), SessionError> {
        let (methods, has_password) = match self {
            Self::Caller(changer) => (&changer.caller.methods, changer.own.credentials.password_hash.is_some()),
            Self::SignIn(pending) => (&pending.methods, pending.methods.contains(&Method::Password)),
        };
        let proves = |method: &Method| matches!(method, Method::Password | Method::Passkey);
        match (has_password, methods.iter().any(proves)) {
            (true, true) => Ok(()),
            (true, false) => Err(SessionError::StepUpRequired),
            (false, _) => Err(SessionError::PasswordRequired),
        }
    }

    /// What must hold when the factor is added.
    pub fn conditions(&self) -> Enrolling<'_> {
        match self {
            Self::Caller(changer) => Enrolling {
                user_id: changer.caller.caller.user_id,
                credentials_version: changer.own.credentials.version,
                caller: Some(changer.caller.caller.session_id),
                pending: None,
            },
            Self::SignIn(pending) => Enrolling {
                user_id: pending.user.id,
                credentials_version: pending.credentials_version,
                caller: None,
                pending: Some((pending.id, pending.name_key.as_deref())),
            },
        }
    }

    /// The proof of the session that begins with the new factor, without that factor. `account`: what it is with the factor.
    pub fn proof(&self, context: &Context<'_>, account: sign_in::Account) -> Proof {
        let version = self.conditions().credentials_version.saturating_add(1);
        match self {
            Self::Caller(changer) => Proof::renewed(&changer.caller, self.slot(), version, account),
            Self::SignIn(pending) => pending::enrolling(context, pending, version, account),
        }
    }

    fn slot(&self) -> Slot {
        match self {
            Self::Caller(changer) => changer.own.credentials.slot,
            Self::SignIn(pending) => pending.slot,
        }
    }
}
