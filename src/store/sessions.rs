//! Sessions. Each is one row of `refresh_tokens` for its whole life.

use portcullis_core::account::audit::{AuditEvent, RevocationReason};
use portcullis_core::account::caller::Caller;
use portcullis_core::account::client::Client;
use portcullis_core::account::session::{Delivery, OwedMark, Session, Transport};
use portcullis_core::account::throttle::Subject;
use portcullis_core::account::user::User;
use portcullis_core::id::Id;
use portcullis_core::mail::budget::Budget;
use portcullis_core::token::refresh::{RefreshToken, SecretHash};
use serde::Deserialize;

use super::audit::EventKey;
use super::batch::{Affected, Answers, Batch, Rows, Value, sql, values};
use super::callers::{find_session, in_force};
use super::challenges::{Redemption, reclaim};
use super::connection::Store;
use super::error::{Denial, StoreError, WithOwedMarks};
use super::factor_use::{FactorCondition, FactorUse, FactorUser, spend_sign_in};
use super::outbox::{NewMail, SessionNotice};
use super::revocations::{find_owed_marks, find_owed_marks_of_session};
use super::rows::{account, client, session};
use super::throttles::{Wait, clear_completed, forgive};

const COUNT_EVICTED_SESSIONS: &str = sql!("audit/count_evicted_sessions.sql");
const INSERT: &str = sql!("sessions/insert.sql");
const INSERT_REUSE_EVENT: &str = sql!("sessions/insert_reuse_event.sql");
const LIST: &str = sql!("sessions/list.sql");
pub(super) const CLEAR_RESET: &str = sql!("sign_ins/clear_reset.sql");
const REVOKE_RENEWED: &str = sql!("sessions/revoke_renewed.sql");
pub(super) const REPLACE_HASH: &str = sql!("sessions/replace_hash.sql");
const REVOKE: &str = sql!("sessions/revoke.sql");
const REVOKE_ALL: &str = sql!("sessions/revoke_all.sql");
const REVOKE_EXCESS: &str = sql!("sessions/revoke_excess.sql");
const REVOKE_OWN: &str = sql!("sessions/revoke_own.sql");
const REVOKE_RECORDED: &str = sql!("sessions/revoke_recorded.sql");
const REVOKE_REPLACED: &str = sql!("sessions/revoke_replaced.sql");
const REVOKE_REUSED: &str = sql!("sessions/revoke_reused.sql");
const ROTATE: &str = sql!("sessions/rotate.sql");
const VERIFY_EMAIL: &str = sql!("challenges/verify_email.sql");
const VOID_DEVICES: &str = sql!("sessions/void_devices.sql");

/// A session to begin. Times in unix seconds.
pub struct NewSession {
    /// The owner.
    pub user_id: Id,
    /// The version that was verified. If it has changed since, no session begins.
    pub credentials_version: u64,
    /// The first refresh token.
    pub token: RefreshToken,
    /// The authentication methods: values of RFC 8176, separated by spaces.
    pub amr: String,
    /// When the user authenticated.
    pub authenticated_at: u64,
    /// The idle end.
    pub expires_at: u64,
    /// The absolute end.
    pub absolute_expires_at: u64,
    /// The expiry of the first access token.
    pub access_expires_at: u64,
    /// How the refresh token is delivered.
    pub delivery: Delivery,
    /// The refresh token in the cookie that the new session's cookie replaces. Its session ends.
    pub replaced: Option<RefreshToken>,
    /// What failed attempts to begin this session count against. If a wait has begun, no session begins.
    pub subject: Option<Subject>,
    /// The passkey that begins it.
    pub passkey_id: Option<String>,
}

/// What must hold in the transaction that begins a session, besides the account being as it was proved.
#[derive(Clone, Copy, Default)]
pub(super) struct Conditions<'a> {
    /// The request, which must have spent the challenge and the pending sign-in.
    pub(super) request_id: Option<Id>,
    pub(super) challenge: Option<Id>,
    pub(super) pending: Option<Id>,
    /// The second factor, which the request must have used up.
    pub(super) factor: Option<&'a FactorCondition>,
    /// An event that must exist.
    pub(super) event: Option<&'a str>,
    /// The session of the caller, which must be in force.
    pub(super) caller: Option<Id>,
    /// The session that it renews. If a passkey began that, it began this one, too.
    pub(super) renews: Option<Id>,
}

/// The handles of a new session.
pub(super) struct Begun {
    inserted: Rows<Affected>,
    replaced: Option<Rows<OwedMark>>,
}

impl Begun {
    /// Whether the session began.
    pub(super) fn has_begun(&self, answers: &Answers) -> Result<bool, StoreError> {
        Ok(answers.row(self.inserted)?.is_some())
    }

    /// The session that ended because its cookie was replaced.
    pub(super) fn replaced(&self, answers: &Answers) -> Result<Option<OwedMark>, StoreError> {
        self.replaced.map_or(Ok(None), |replaced| answers.row(replaced))
    }
}

/// What a sign-in changes besides beginning a session.
#[derive(Default)]
pub struct SignIn<'a> {
    /// The name of a password login, whose failures in a row are set to zero.
    pub name: Option<Subject>,
    /// An outdated hash and its replacement.
    pub rehash: Option<(&'a str, &'a str)>,
    /// The challenge that the sign-in spends.
    pub redemption: Option<Redemption<'a>>,
    /// Whether the redemption is the first proof of the mailbox, which deletes what the account had before.
    pub reclaims: bool,
    /// Whether the redemption verifies the address, because the sign-in proved the account otherwise, too.
    pub verifies_email: bool,
    /// The notice that the device is new.
    pub notice: Option<NewMail<'a>>,
    /// The pending sign-in that is completed, and the key of the throttle of its name.
    pub pending: Option<(Id, Option<&'a str>)>,
    /// The passkey or second factor.
    pub factor: Option<FactorUse>,
    /// The passkey that was proved before.
    pub passkey_id: Option<&'a str>,
    /// Whether an admin removed the factors since the last sign-in.
    pub ends_reset: bool,
    /// The session of the caller, which the new one replaces.
    pub renewed: Option<Id>,
}

impl SignIn<'_> {
    /// The key of the event that the address is verified.
    pub(super) fn verified(&self) -> Option<EventKey> {
        let redemption = self.redemption.as_ref().filter(|_| self.reclaims || self.verifies_email)?;
        Some(redemption.key(AuditEvent::EmailVerified))
    }

    /// Spends the challenge, verifies the address and deletes what the account had before, if the sign-in does so. Returns the marks of the
    /// sessions that ended.
    pub(super) fn redeem<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        verified: Option<&'v EventKey>,
        client: &'v Client,
    ) -> Option<Rows<OwedMark>> {
        let redemption = self.redemption.as_ref()?;
        redemption.spend(batch);
        let key = verified?;
        redemption.record_first_proof(batch, key);
        if !self.reclaims {
            batch.execute(VERIFY_EMAIL, values![key.user_id, key.at, &key.id]);
            return None;
        }
        reclaim(batch, key, None, true);
        revoke_recorded(batch, key, RevocationReason::EmailVerified, Some(client));
        Some(find_owed_marks(batch, key.user_id))
    }
}

/// The result of inserting a session.
pub struct Insertion {
    /// `false`: no session began, because the account was disabled, deleted or had its credentials changed since they were read, or
    /// because a wait has begun.
    pub has_begun: bool,
    /// The seconds of the wait because of which no session began.
    pub wait: Option<u64>,
    /// The session that ended because its cookie was replaced.
    pub replaced: Option<OwedMark>,
    /// Number of sessions that ended because the account exceeds its maximum, without those that had expired.
    pub evicted: u64,
    /// Whether the notice that the device is new is to be sent.
    pub has_notice: bool,
}

impl NewSession {
    fn values<'v>(&'v self, client: &'v Client, now: u64) -> Vec<Value<'v>> {
        values![
            self.token.session_id(),
            self.user_id,
            self.credentials_version,
            self.token.secret_hash().as_str().to_owned(),
            now,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.expires_at,
            self.absolute_expires_at,
            self.access_expires_at,
            &self.amr,
            self.authenticated_at,
            self.delivery.transport.as_str(),
            self.delivery.remember,
            self.passkey_id.as_deref(),
        ]
    }

    /// Begins the session, unless the account is disabled, its credentials have changed, a wait has begun or a condition does not hold.
    pub(super) fn insert<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        conditions: &Conditions<'_>,
        client: &'v Client,
        now: u64,
    ) -> Begun {
        let Conditions { request_id, challenge, pending, factor, event, caller, renews } = *conditions;
        let (totp, passkey, used) = match factor {
            Some(FactorCondition::Totp(id)) => (Some(*id), None, None),
            Some(FactorCondition::Passkey(id)) => (None, Some(id.clone()), None),
            Some(FactorCondition::Event(key)) => (None, None, Some(key.id.as_str())),
            None => (None, None, None),
        };
        let codes = totp.map(|_| Subject::Factor(self.user_id));
        let event = event.or(used).map(ToOwned::to_owned);
        let conditions =
            values![self.subject, request_id, challenge, pending, totp, passkey, event, caller, codes, renews];
        let values = self.values(client, now).into_iter().chain(conditions);
        let inserted = batch.query(INSERT, values.collect());
        Begun { inserted, replaced: self.revoke_replaced(batch, client, now) }
    }

    /// Ends the session whose cookie is replaced, if the new session has begun.
    fn revoke_replaced<'v>(&'v self, batch: &mut Batch<'v>, client: &'v Client, now: u64) -> Option<Rows<OwedMark>> {
        let replaced = self.replaced.as_ref()?;
        let values = values![
            replaced.session_id(),
            replaced.secret_hash().as_str().to_owned(),
            now,
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            self.token.session_id(),
        ];
        Some(batch.query(REVOKE_REPLACED, values))
    }
}

/// Revokes all sessions of the user of an event, if the event exists.
pub(super) fn revoke_recorded<'v>(
    batch: &mut Batch<'v>,
    key: &'v EventKey,
    reason: RevocationReason,
    client: Option<&'v Client>,
) -> Rows<Affected> {
    revoke_others_recorded(batch, key, reason, client, None)
}

/// Revokes the sessions of the user of an event, except `kept`, if the event exists.
pub(super) fn revoke_others_recorded<'v>(
    batch: &mut Batch<'v>,
    key: &'v EventKey,
    reason: RevocationReason,
    client: Option<&'v Client>,
    kept: Option<Id>,
) -> Rows<Affected> {
    let values = values![
        key.user_id,
        key.at,
        &key.id,
        reason.as_str(),
        client.and_then(|client| client.ip.as_deref()),
        client.and_then(|client| client.user_agent.as_deref()),
        kept,
    ];
    batch.query(REVOKE_RECORDED, values)
}

/// A refresh token as a client presents it.
#[derive(Clone, Copy)]
pub struct PresentedToken<'a> {
    /// The token.
    pub token: &'a RefreshToken,
    /// How it was sent.
    pub transport: Transport,
    /// The user whose session must be refreshed; `None`: any.
    pub user_id: Option<Id>,
    /// Whether the session must have begun with two factors.
    pub needs_aal2: bool,
}

/// The durations that a rotation applies, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct RotationTimes {
    /// The grace window.
    pub grace: u64,
    /// The idle lifetime.
    pub idle: u64,
    /// The idle lifetime of a session that is not remembered.
    pub unremembered_idle: u64,
    /// The lifetime of an access token.
    pub access: u64,
}

/// What is recorded and sent on reuse.
pub struct ReuseEvent<'a> {
    /// The id of the event.
    pub id: &'a str,
    /// The mail that tells the user.
    pub notice: Option<&'a NewMail<'a>>,
    /// The request.
    pub request_id: Id,
}

/// The result of presenting a refresh token.
pub enum Rotation {
    /// The successor may be issued.
    Issued(Box<Issued>),
    /// The token was refused and nothing changed. Holds the session, if it exists.
    Refused(Option<Box<Session>>),
    /// The token had been rotated out, so the session was revoked. Holds the session before the revocation.
    Reused(WithOwedMarks<Box<Session>>),
}

/// A refreshed session.
pub struct Issued {
    /// How often the token was presented again within the grace window: 0 for the rotation itself.
    pub retries: u64,
    /// The idle end, in unix seconds.
    pub expires_at: u64,
    /// Whether the session is remembered.
    pub remember: bool,
    /// How the user authenticated: values of RFC 8176, separated by spaces.
    pub amr: String,
    /// When the user authenticated, in unix seconds.
    pub authenticated_at: u64,
    /// The client that rotated it.
    pub rotated_by: Client,
    /// The owner.
    pub user: User,
}

#[derive(Deserialize)]
struct RotationRow {
    grace_retries: u64,
    expires_at: u64,
    remember: u8,
    amr: String,
    authenticated_at: u64,
    rotated_ip: Option<String>,
    rotated_user_agent: Option<String>,
    user: String,
}

#[derive(Deserialize)]
struct ExcessRow {
    session_id: Id,
    user_id: Id,
    access_expires_at: u64,
    is_evicted: u8,
}

#[derive(Deserialize)]
struct CountRow {
    count: u64,
}

#[derive(Deserialize)]
struct RevokedRow {
    user_id: Id,
}

/// A query for sessions of an account.
pub struct SessionsQuery {
    /// Only sessions that began before this one: its start in unix seconds, and its id.
    pub before: (u64, String),
    /// Maximum number of sessions.
    pub limit: usize,
}

/// A session for display to its user. Times in unix seconds.
#[derive(Deserialize, Debug)]
pub struct SessionSummary {
    /// The `sid` claim.
    pub session_id: Id,
    /// The login.
    pub created_at: u64,
    /// IP address of the login.
    pub created_ip: Option<String>,
    /// User agent of the login.
    pub created_user_agent: Option<String>,
    /// The last refresh, or the login.
    pub rotated_at: u64,
    /// IP address of the last refresh.
    pub rotated_ip: Option<String>,
    /// User agent of the last refresh.
    pub rotated_user_agent: Option<String>,
    /// The idle end.
    pub expires_at: u64,
    /// The absolute end.
    pub absolute_expires_at: u64,
}

impl SessionsQuery {
    pub(super) fn add<'v>(
        &'v self,
        batch: &mut Batch<'v>,
        user_id: Id,
        caller: Caller,
        now: u64,
    ) -> Rows<SessionSummary> {
        let (began_at, session_id) = &self.before;
        // One more than requested shows whether there are more.
        let limit = u64::try_from(self.limit).unwrap_or(u64::MAX).saturating_add(1);
        let not_before = batch.not_before();
        let values = values![user_id, now, *began_at, session_id, limit, caller.session_id, caller.user_id, not_before];
        batch.query(LIST, values)
    }
}

/// Runs a statement that revokes sessions of the caller. The statement must itself check that the caller's session is in force.
async fn revoke_as<T>(
    mut batch: Batch<'_>,
    caller: Caller,
    revoke: &'static str,
    values: Vec<Value<'_>>,
    now: u64,
    outcome: impl FnOnce(Vec<Affected>) -> Result<T, StoreError>,
) -> Result<WithOwedMarks<T>, StoreError> {
    let found = find_session(&mut batch, caller.session_id);
    let revoked = batch.query(revoke, values);
    let owed = find_owed_marks(&mut batch, caller.user_id);
    let answers = batch.run().await?;
    let revoked = answers.rows(revoked)?;
    let outcome = in_force(&answers, found, caller, now).and_then(|_| outcome(revoked));
    WithOwedMarks::attach(outcome, answers.rows(owed)?)
}

impl Store {
    /// Begins a session after a sign-in. Revokes the sessions of the account that exceed `max_sessions`, and the session whose cookie is
    /// replaced. One round trip.
    pub async fn insert_session(
        &self,
        session: &NewSession,
        sign_in: &SignIn<'_>,
        client: &Client,
        max_sessions: u64,
        request_id: Id,
        now: u64,
    ) -> Result<WithOwedMarks<Insertion>, StoreError> {
        let (ip, user_agent) = (client.ip.as_deref(), client.user_agent.as_deref());
        let session_id = session.token.session_id();
        let redemption = sign_in.redemption.as_ref();
        let verified = sign_in.verified();
        let mut batch = self.batch("insert_session");
        let codes = sign_in.factor.as_ref().and_then(|used| used.subject(session.user_id));
        let subjects = session.subject.into_iter().chain(codes);
        let waits: Vec<_> = subjects.map(|subject| Wait::find(&mut batch, subject, now)).collect();
        let owed = sign_in.redeem(&mut batch, verified.as_ref(), client);
        let pending = sign_in.pending.map(|(id, _)| id);
        if let Some(id) = pending {
            spend_sign_in(&mut batch, id, request_id, now);
        }
        let challenge = redemption.map(|redemption| redemption.id);
        let request = Some(request_id);
        let conditions =
            Conditions { request_id: request, challenge, pending, caller: sign_in.renewed, ..Conditions::default() };
        let owner = FactorUser {
            user_id: session.user_id,
            credentials_version: session.credentials_version,
            pending,
            caller: sign_in.renewed,
            challenge,
            subject: session.subject,
        };
        let used = sign_in.factor.as_ref();
        let factor = used.map(|used| used.spend(&mut batch, &owner, client, request_id, now));
        let conditions = Conditions { factor: factor.as_ref(), ..conditions };
        let begun = session.insert(&mut batch, &conditions, client, now);
        let renewed = sign_in.renewed.map(|caller| {
            let values = values![caller, session.user_id, now, ip, user_agent, session_id];
            batch.query::<OwedMark>(REVOKE_RENEWED, values)
        });
        if let Some((FactorCondition::Event(key), notice)) = factor.as_ref().zip(used.and_then(FactorUse::notice)) {
            notice.insert_notice(&mut batch, key, client);
        }
        if factor.is_some() {
            clear_completed(&mut batch, Subject::Factor(session.user_id), session_id);
        }
        if sign_in.renewed.is_some() {
            clear_completed(&mut batch, Subject::User(session.user_id), session_id);
        }
        if sign_in.ends_reset {
            batch.execute(CLEAR_RESET, values![session.user_id, session_id]);
        }
        let noticed = sign_in.notice.as_ref().map(|notice| {
            let session = SessionNotice { session_id, event_id: None, budget: Budget::NEW_DEVICE };
            notice.insert_session_notice(&mut batch, &session, client, request_id, now)
        });
        if let Some(name) = sign_in.name {
            forgive(&mut batch, name.to_string(), session_id);
        }
        if let Some(name) = sign_in.pending.and_then(|(_, name)| name) {
            forgive(&mut batch, name.to_owned(), session_id);
        }
        let values = values![session_id, session.user_id, now, max_sessions, ip, user_agent];
        let excess = batch.query::<ExcessRow>(REVOKE_EXCESS, values);
        if let Some((old, new)) = sign_in.rehash {
            batch.execute(REPLACE_HASH, values![session.user_id, old, new]);
        }
        let answers = batch.run().await?;
        let excess = answers.rows(excess)?;
        let mut longest = None;
        for wait in waits {
            longest = longest.max(wait.seconds(&answers)?);
        }
        let value = Insertion {
            has_begun: begun.has_begun(&answers)?,
            wait: longest,
            replaced: begun.replaced(&answers)?,
            evicted: excess.iter().map(|row| u64::from(row.is_evicted)).sum(),
            has_notice: noticed.map(|noticed| answers.row(noticed)).transpose()?.flatten().is_some(),
        };
        let mark = |ExcessRow { session_id, user_id, access_expires_at, .. }| OwedMark {
            user_id,
            session_id,
            access_expires_at,
        };
        let earlier = owed.map(|owed| answers.rows(owed)).transpose()?.unwrap_or_default();
        let renewed = renewed.map(|renewed| answers.rows(renewed)).transpose()?.unwrap_or_default();
        let owed_marks = excess.into_iter().map(mark).chain(value.replaced).chain(renewed).chain(earlier).collect();
        Ok(WithOwedMarks { value, owed_marks })
    }

    /// Presents a refresh token: rotates it, accepts a grace retry, revokes the session on reuse, or changes nothing. A rotation needs
    /// one round trip and writes one row. Anything else needs a second round trip, which writes five rows on reuse and none
    /// otherwise.
    ///
    /// The statement compares and sets in one step: its condition includes the token's secret and generation and the state of the
    /// session and the user. If several requests present one token at once, one rotates it and the others see the new generation. A
    /// refresh that D1 runs after a revocation never finds `revoked_at IS NULL`. Only a session of this transport is refreshed, and with
    /// a `user_id` only one of that user.
    ///
    pub async fn rotate(
        &self,
        presented: PresentedToken<'_>,
        times: RotationTimes,
        reuse_event: &ReuseEvent<'_>,
        client: &Client,
        now: u64,
    ) -> Result<Rotation, StoreError> {
        const OPERATION: &str = "rotate";
        let PresentedToken { token, transport, user_id, needs_aal2 } = presented;
        let (session_id, secret_hash) = (token.session_id(), token.secret_hash());
        let (ip, user_agent) = (client.ip.as_deref(), client.user_agent.as_deref());
        let (secret, generation) = (secret_hash.as_str(), token.generation());
        let RotationTimes { grace, idle, unremembered_idle, access } = times;
        let rotate = || {
            values![
                session_id,
                secret,
                generation,
                now,
                grace,
                idle,
                ip,
                user_agent,
                access,
                user_id,
                transport.as_str(),
                unremembered_idle,
                needs_aal2,
                self.sessions_not_before,
            ]
        };
        let reuse = || values![session_id, secret, generation, now, grace, ip, user_agent];
        let mut batch = self.batch(OPERATION);
        let rotated = batch.query(ROTATE, rotate());
        let answers = batch.run().await?;
        if let Some(row) = answers.row(rotated)? {
            return issued(&answers, row);
        }
        // Repeat the rotation, and in the same transaction read the session and revoke it on reuse. A later read could see another
        // state, and a client with a stolen token could disconnect before a third round trip.
        let mut batch = self.batch(OPERATION);
        let rotated = batch.query(ROTATE, rotate());
        let found = find_session(&mut batch, session_id);
        batch.execute(INSERT_REUSE_EVENT, reuse().into_iter().chain([Value::from(reuse_event.id)]).collect());
        let revoked = batch.query::<Affected>(REVOKE_REUSED, reuse());
        if let Some(notice) = reuse_event.notice {
            let session = SessionNotice { session_id, event_id: Some(reuse_event.id), budget: Budget::NOTICE };
            notice.insert_session_notice(&mut batch, &session, client, reuse_event.request_id, now);
        }
        let owed = find_owed_marks_of_session(&mut batch, session_id, Some(&secret_hash));
        let answers = batch.run().await?;
        if let Some(row) = answers.row(rotated)? {
            return issued(&answers, row);
        }
        let Some(row) = answers.row(found)? else { return Ok(Rotation::Refused(None)) };
        let session = Box::new(session(&answers, row)?);
        if answers.row(revoked)?.is_none() {
            return Ok(Rotation::Refused(Some(session)));
        }
        Ok(Rotation::Reused(WithOwedMarks { value: session, owed_marks: answers.rows(owed)? }))
    }

    /// Finds a session and its user. One round trip.
    pub async fn find_session(&self, session_id: Id) -> Result<Option<Session>, StoreError> {
        let mut batch = self.batch("find_session");
        let found = find_session(&mut batch, session_id);
        let answers = batch.run().await?;
        answers.row(found)?.map(|row| session(&answers, row)).transpose()
    }

    /// Revokes a session; with a secret, only if the session has that secret. Returns the owner if this call revoked it. One round
    /// trip, three rows written.
    pub async fn revoke_session(
        &self,
        session_id: Id,
        secret_hash: Option<&SecretHash>,
        reason: RevocationReason,
        client: &Client,
        now: u64,
    ) -> Result<WithOwedMarks<Option<Id>>, StoreError> {
        let values = values![
            session_id,
            secret_hash.map(SecretHash::as_str),
            now,
            reason.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
        ];
        let mut batch = self.batch("revoke_session");
        let revoked = batch.query::<RevokedRow>(REVOKE, values);
        let owed = find_owed_marks_of_session(&mut batch, session_id, secret_hash);
        let answers = batch.run().await?;
        let owner = answers.row(revoked)?.map(|row| row.user_id);
        Ok(WithOwedMarks { value: owner, owed_marks: answers.rows(owed)? })
    }

    /// Revokes every session of the caller that is unexpired or has an unexpired access token, except the current one if
    /// `keep_own`, and makes all device tokens of the user void. A session can expire before its last access token if lifetimes were
    /// shortened. Returns the number of revoked sessions. One round trip.
    pub async fn revoke_all_sessions(
        &self,
        caller: Caller,
        keep_own: bool,
        reason: RevocationReason,
        client: &Client,
        now: u64,
    ) -> Result<WithOwedMarks<usize>, StoreError> {
        let values = values![
            caller.user_id,
            caller.session_id,
            now,
            reason.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
            keep_own.then_some(caller.session_id),
        ];
        let mut batch = self.batch("revoke_all_sessions");
        // Before the sessions end, while that of the caller is in force.
        batch.execute(VOID_DEVICES, values![caller.user_id, caller.session_id, now]);
        revoke_as(batch, caller, REVOKE_ALL, values, now, |revoked| Ok(revoked.len())).await
    }

    /// Revokes one session of the caller. One round trip, three rows written.
    pub async fn revoke_own_session(
        &self,
        caller: Caller,
        session_id: Id,
        reason: RevocationReason,
        client: &Client,
        now: u64,
    ) -> Result<WithOwedMarks<()>, StoreError> {
        let values = values![
            session_id,
            caller.user_id,
            caller.session_id,
            now,
            reason.as_str(),
            client.ip.as_deref(),
            client.user_agent.as_deref(),
        ];
        let outcome = |revoked: Vec<Affected>| {
            if revoked.is_empty() { Err(Denial::NotFound.into()) } else { Ok(()) }
        };
        revoke_as(self.batch("revoke_own_session"), caller, REVOKE_OWN, values, now, outcome).await
    }

    /// Counts sessions that the login of `session_id` evicted, in the row of their hour. Returns the number of the hour; `None` if the
    /// account has been deleted. `notice`: the mail that tells the user once they become many. One round trip; one row written, plus an
    /// index entry for the first of an hour.
    pub async fn count_evicted_sessions(
        &self,
        user_id: Id,
        session_id: Id,
        evicted: u64,
        notice: Option<&NewMail<'_>>,
        client: &Client,
        now: u64,
    ) -> Result<Option<u64>, StoreError> {
        let values = values![user_id, now, evicted, session_id, client.ip.as_deref(), client.user_agent.as_deref()];
        let mut batch = self.batch("count_evicted_sessions");
        let counted = batch.query::<CountRow>(COUNT_EVICTED_SESSIONS, values);
        if let Some(notice) = notice {
            notice.insert_evicted(&mut batch, user_id, evicted, client, now);
        }
        let answers = batch.run().await?;
        Ok(answers.row(counted)?.map(|row| row.count))
    }

    /// Lists the sessions of the caller that are in force, the newest first: one more than the limit, if there are more. One round
    /// trip.
    pub async fn list_own_sessions(
        &self,
        caller: Caller,
        query: &SessionsQuery,
        now: u64,
    ) -> Result<Vec<SessionSummary>, StoreError> {
        let mut batch = self.batch("list_own_sessions");
        let found = find_session(&mut batch, caller.session_id);
        let sessions = query.add(&mut batch, caller.user_id, caller, now);
        let answers = batch.run().await?;
        in_force(&answers, found, caller, now)?;
        answers.rows(sessions)
    }
}

fn issued(answers: &Answers, rotated: RotationRow) -> Result<Rotation, StoreError> {
    Ok(Rotation::Issued(Box::new(Issued {
        retries: rotated.grace_retries,
        expires_at: rotated.expires_at,
        remember: rotated.remember != 0,
        amr: rotated.amr,
        authenticated_at: rotated.authenticated_at,
        rotated_by: client(rotated.rotated_ip, rotated.rotated_user_agent),
        user: account(answers, &rotated.user)?.user,
    })))
}
