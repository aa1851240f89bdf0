-- The current schema of Portcullis. A test checks that the migrations produce the same schema.
-- Times are unix seconds. A nullable time is a state: NULL means "has not happened".
-- Identifiers are 16 random bytes in base64url without padding (22 characters) and have no order and no meaning. Imported accounts
-- may keep their own. The id of a session begins with the slot of its owner (12 bits).

-- One row per user.
CREATE TABLE users (
  -- the "sub" claim of access tokens
  id TEXT PRIMARY KEY NOT NULL,
  -- the e-mail address as entered, for display and delivery
  email TEXT NOT NULL,
  -- the normalized address, for comparison: trimmed, NFC, case folded, the domain in ASCII
  email_key TEXT NOT NULL,
  -- optional second login name, as entered
  username TEXT,
  -- the username in lower case, for comparison
  username_key TEXT,
  -- optional display name
  name TEXT,
  -- Argon2id PHC string of the password in NFC: parameters, salt and hash. An imported account keeps the hash of its old system until
  -- the first login, and longer if that hash ignores a part of the password. An imported hash is an Argon2 PHC string after "argon2",
  -- or a format of crates/core/src/password/imported/, or "$wrapped" with that format without its hash and an Argon2id hash over it.
  -- NULL: the account has no password, so every password is wrong
  password_hash TEXT,
  -- number of credential changes and of ends of all sessions, not counting rehashes of the same password. A login that verified an
  -- older version is refused, and a device token of an older version is void
  credentials_version INTEGER NOT NULL,
  -- JSON array of role names: the "roles" claim
  roles TEXT NOT NULL,
  -- when the account was created
  created_at INTEGER NOT NULL,
  -- when the account was disabled. A disabled account cannot log in, refresh or use the account routes
  disabled_at INTEGER,
  -- IP address of the registration, as reported by the platform
  created_ip TEXT,
  -- user agent of the registration, as sent by the client, truncated to 256 characters
  created_user_agent TEXT,
  -- when the user proved ownership of the address. If that was before an import: the time of the import
  email_verified_at INTEGER,
  -- 0 to 4095, derived from email_key at registration. Session ids begin with it, so that users can be distributed to several
  -- databases by slot
  slot INTEGER NOT NULL,
  -- optional given name
  given_name TEXT,
  -- optional family name
  family_name TEXT,
  -- JSON object that the user may change
  metadata TEXT,
  -- JSON object that only admins may change
  app_metadata TEXT,
  -- whether the roles grant access to the admin routes
  is_admin INTEGER GENERATED ALWAYS AS (instr(roles, '"admin"') > 0) VIRTUAL,
  -- when an admin removed the factors. NULL after the next sign-in, which needs a code from a mail too
  factors_reset_at INTEGER,
  -- when the password was last set by a mail or a link. A recovery code changes no factors for a day after that
  password_reset_at INTEGER,
  CHECK (slot BETWEEN 0 AND 4095)
) STRICT, WITHOUT ROWID;

-- One account per address.
CREATE UNIQUE INDEX users_email_key ON users (email_key);

-- Partial, so that users without a username need no index entry.
CREATE UNIQUE INDEX users_username_key ON users (username_key) WHERE username_key IS NOT NULL;

-- Finds admins, to detect the last one. Partial, so that other users need no index entry.
CREATE INDEX users_admins ON users (disabled_at) WHERE is_admin = 1;

-- The user object: the displayed columns of a user as one JSON text, and the columns that find and verify a user. Only this view
-- selects them. A second JSON text, factors, has what a sign-in needs to know about the factors of the account. One text is faster to
-- read than separate columns, since the Worker reads each value from the runtime.
CREATE VIEW user_objects AS
SELECT
  id, email_key, username_key, password_hash, credentials_version, slot,
  json_object(
    'id', id, 'email', email, 'email_verified_at', email_verified_at, 'username', username, 'name', name,
    'given_name', given_name, 'family_name', family_name, 'roles', roles, 'metadata', metadata, 'app_metadata', app_metadata,
    'created_at', created_at, 'disabled_at', disabled_at
  ) AS user,
  json_object(
    'totp', EXISTS (SELECT 1 FROM totp_secrets AS t WHERE t.user_id = users.id AND t.is_confirmed = 1),
    'passkey', EXISTS (SELECT 1 FROM passkeys AS p WHERE p.user_id = users.id),
    'reset', factors_reset_at IS NOT NULL
  ) AS factors
FROM users;

-- The key that derives slots from addresses, so that a session id reveals nothing about the address. It never changes, is the same in
-- all databases of a deployment and has no other use.
CREATE TABLE slot_key (
  -- always 1: the table has one row
  id INTEGER PRIMARY KEY CHECK (id = 1),
  -- 32 random bytes in hexadecimal
  secret TEXT NOT NULL
) STRICT;

INSERT INTO slot_key (id, secret) VALUES (1, lower(hex(randomblob(32))));

-- One row per session for its whole life. A refresh updates the row in place and adds none.
-- A row is not enough to forge a token: the tag needs the token secret, and only a hash of the session secret is stored.
CREATE TABLE refresh_tokens (
  -- the "sid" claim of access tokens
  session_id TEXT PRIMARY KEY NOT NULL,
  -- the owner
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- SHA-256 of the secret in every token of the session, in base64url
  secret_hash TEXT NOT NULL,
  -- the live generation. Tokens of earlier generations are rotated out
  generation INTEGER NOT NULL,
  -- how often the predecessor was presented again within the grace window of the last rotation
  grace_retries INTEGER NOT NULL,
  -- time of the login
  created_at INTEGER NOT NULL,
  -- IP address of the login, as reported by the platform
  created_ip TEXT,
  -- user agent of the login, as sent by the client, truncated to 256 characters
  created_user_agent TEXT,
  -- time of the last rotation, or of the login if there was none
  rotated_at INTEGER NOT NULL,
  -- IP address of the last rotation
  rotated_ip TEXT,
  -- user agent of the last rotation
  rotated_user_agent TEXT,
  -- idle end. Moves with every rotation, but never past the absolute end
  expires_at INTEGER NOT NULL,
  -- absolute end. Set at login and never changed
  absolute_expires_at INTEGER NOT NULL,
  -- expiry of the last access token of the session. If the session is revoked, its mark in KV lasts until then
  access_expires_at INTEGER NOT NULL,
  -- when the session was ended. NULL for a session that only expired
  revoked_at INTEGER,
  -- IP address of the client that ended the session
  revoked_ip TEXT,
  -- user agent of the client that ended the session
  revoked_user_agent TEXT,
  -- logout: its own token was revoked. ended_by_user: the user ended it from another session. logout_all: the user ended all sessions.
  -- reuse: a rotated-out token was presented. password_changed: the user changed the password. ended_by_admin: an admin ended all
  -- sessions. disabled: an admin disabled the account. evicted: the account exceeded MAX_SESSIONS_PER_USER. expired: the same,
  -- but the session had already expired. replaced: the browser got the cookie of another session.
  -- renewed: the user authenticated again, which began another session. factors_changed: the user added or removed a factor.
  -- factors_reset: an admin removed the factors. passkey_removed: the user removed the passkey that began it
  revoked_reason TEXT,
  -- how the user authenticated: values of RFC 8176, separated by spaces
  amr TEXT NOT NULL,
  -- when the user authenticated. A refresh does not change it
  authenticated_at INTEGER NOT NULL,
  -- 1 if the session was ended, 0 if it is in force or only expired
  is_ended INTEGER GENERATED ALWAYS AS (revoked_at IS NOT NULL) VIRTUAL,
  -- how the refresh token travels: body or cookie. Set at login and never changed, so that a token which scripts cannot read in a
  -- cookie is never answered in a body
  transport TEXT NOT NULL DEFAULT 'body' CHECK (transport IN ('body', 'cookie')),
  -- 0 if the user did not ask to be remembered: the idle lifetime is at most a day, and the cookie ends with the browser
  remember INTEGER NOT NULL DEFAULT 1,
  -- 1 if the user authenticated with two factors
  is_aal2 INTEGER GENERATED ALWAYS AS (instr(amr, 'mfa') > 0) VIRTUAL,
  -- the passkey that began the session. The session ends when the passkey is removed
  passkey_id TEXT,
  CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT, WITHOUT ROWID;

-- Finds the open or the ended sessions of a user, in the order of their logins. No index has a column that a refresh changes, so a
-- refresh writes one row.
CREATE INDEX refresh_tokens_user_id ON refresh_tokens (user_id, is_ended, created_at);

-- Finds the sessions of a passkey that is removed. Partial, so that other sessions need no index entry.
CREATE INDEX refresh_tokens_passkey_id ON refresh_tokens (passkey_id) WHERE passkey_id IS NOT NULL;

-- Sessions that are not ended and whose account is not disabled. A statement that acts for a user or an admin joins this view and
-- compares expires_at with the current time.
CREATE VIEW callers AS
SELECT s.session_id, s.user_id, s.expires_at, s.transport, s.remember, u.credentials_version, u.is_admin
FROM refresh_tokens AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.revoked_at IS NULL AND u.disabled_at IS NULL;

-- Enabled admins.
CREATE VIEW admins AS
SELECT id
FROM users
WHERE is_admin = 1 AND disabled_at IS NULL;

-- Revoked sessions whose mark is not yet known to be in KV. The statement that ends a session adds a row, and the row is deleted once
-- the mark is written. A scheduled event writes the marks of the remaining rows.
CREATE TABLE owed_marks (
  -- the owner of the session. The account may be deleted
  user_id TEXT NOT NULL,
  -- the session
  session_id TEXT NOT NULL,
  -- expiry of the last access token of the session. After that, the mark is not needed
  access_expires_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, session_id)
) STRICT, WITHOUT ROWID;

-- A session that is ended before its last access token expires needs a mark. Verifiers may allow a clock skew of up to 60 seconds.
CREATE TRIGGER refresh_tokens_revoked AFTER UPDATE OF revoked_at ON refresh_tokens
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.access_expires_at > unixepoch() - 60
BEGIN
  INSERT OR REPLACE INTO owed_marks (user_id, session_id, access_expires_at)
  VALUES (NEW.user_id, NEW.session_id, NEW.access_expires_at);
END;

-- An open session that is deleted, for example with its account, needs a mark too.
CREATE TRIGGER refresh_tokens_deleted AFTER DELETE ON refresh_tokens
WHEN OLD.revoked_at IS NULL AND OLD.access_expires_at > unixepoch() - 60
BEGIN
  INSERT OR REPLACE INTO owed_marks (user_id, session_id, access_expires_at)
  VALUES (OLD.user_id, OLD.session_id, OLD.access_expires_at);
END;

-- The audit trail, except registrations, which are in users, and logins and ended sessions, which are in refresh_tokens. The statement
-- that inserts the event of a change checks its conditions. The other statements of the transaction take effect only if the event
-- exists.
CREATE TABLE audit_events (
  -- the account. Empty for failed logins without an account
  user_id TEXT NOT NULL,
  -- time of the event. For counted events, the start of the hour
  at INTEGER NOT NULL,
  -- distinguishes and orders events of one second. For counted events, the kind
  id TEXT NOT NULL,
  -- login_failed, login_throttled, throttle_lifted, registration_attempted, password_changed, password_reset, password_reset_started,
  -- email_verified, email_change_requested, email_change_pending, email_changed, email_change_cancelled, invited, invitation_accepted,
  -- mail_sent, mail_failed, profile_changed, reuse_detected, sessions_evicted, sessions_ended, disabled, enabled, roles_changed,
  -- metadata_changed, deleted
  kind TEXT NOT NULL,
  -- number of occurrences. 1 except for failed logins, registration attempts, profile changes and evicted sessions
  count INTEGER NOT NULL,
  -- time of the last occurrence
  last_at INTEGER NOT NULL,
  -- the admin who acted. NULL for the user and the command line
  actor_id TEXT,
  -- the session of the request, or the affected session. sessions_evicted: the session that the last login began
  session_id TEXT,
  -- IP address of the last occurrence. NULL for actions of admins
  ip TEXT,
  -- user agent of the last occurrence
  user_agent TEXT,
  -- reuse_detected: IP address of the last refresh. login_failed, registration_attempted,
  -- sessions_evicted: IP address of the first in the hour
  other_ip TEXT,
  -- the user agent that belongs to other_ip
  other_user_agent TEXT,
  -- reuse_detected: predecessor or older. roles_changed: the new roles as JSON. invited: the roles of the
  -- invitation as JSON. profile_changed: id of the last change of the hour
  detail TEXT,
  PRIMARY KEY (user_id, at, id)
) STRICT, WITHOUT ROWID;

-- Finds the oldest events, for the cleanup.
CREATE INDEX audit_events_at ON audit_events (at);

-- Failed attempts to sign in, and the waits in which no further attempt is judged. One row per name, device or user with failures.
-- Names are hashes of 24 bits, whether an account has the name or not. So their number is bounded, and a row does not tell which
-- name it counts.
CREATE TABLE throttles (
  -- name:HASH for logins from unknown devices, device:ID for those from a known device, user:ID for a user who is signed in,
  -- factor:ID for the codes of the authenticator app of a user
  key TEXT PRIMARY KEY NOT NULL,
  -- failures that determine the next wait. Time without a failure reduces them
  steps INTEGER NOT NULL,
  -- failures in a row. Those of a name are reset by a completed sign-in, those of a device never. A confirmed change of a user
  -- deletes the row of that user
  failures INTEGER NOT NULL,
  -- time of the last failure
  last_at INTEGER NOT NULL,
  -- end of the wait. 0 if there was none
  until INTEGER NOT NULL,
  -- the request that counted the last failure, for the statements of its transaction
  request_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Finds the rows of devices and users that the cleanup deletes. Partial, because the cleanup deletes no rows of names.
CREATE INDEX throttles_last_at ON throttles (last_at) WHERE key < 'name:' OR key > 'name:~';

-- One row per request for a mail with a code. The code or the link redeems it, once, and only while the account is not disabled and the
-- address and the version of its credentials are those of the row.
CREATE TABLE challenges (
  -- random. The challenge in the response contains it, authenticated by TOKEN_SECRET
  id TEXT PRIMARY KEY NOT NULL,
  -- verify, register, reset, login, change or invite
  purpose TEXT NOT NULL,
  -- the account, or the registration. NULL: no account has the address, so no mail is sent and no code is right
  user_id TEXT,
  -- the address for which the code was requested, for comparison
  email_key TEXT NOT NULL,
  -- the new address of a change, as entered
  new_email TEXT,
  -- the new address, for comparison
  new_email_key TEXT,
  -- the version of the credentials when the row was made
  credentials_version INTEGER,
  -- JSON array of the roles that an invited account gets when its user accepts. NULL: only those that it has
  roles TEXT,
  -- 16 random bytes in base64url. Code and link are HMACs over it, and no response contains it
  salt TEXT NOT NULL,
  -- SHA-256 of the token of a link that the command line printed, in base64url
  token_hash TEXT,
  -- hash of the source of the request. Empty if it is not known, and the word admin if an admin asked for the mail
  source TEXT NOT NULL,
  -- number of codes that were tried
  tries INTEGER NOT NULL,
  -- when the mail was asked for
  created_at INTEGER NOT NULL,
  -- when the code expires
  expires_at INTEGER NOT NULL,
  -- IP address of the client that asked
  ip TEXT,
  -- its user agent
  user_agent TEXT,
  -- language of its mails
  locale TEXT NOT NULL,
  -- the request that redeemed it
  spent_by TEXT
) STRICT, WITHOUT ROWID;

-- Counts the live rows of an address.
CREATE INDEX challenges_email_key ON challenges (email_key, expires_at);

-- Finds the rows that the cleanup deletes.
CREATE INDEX challenges_expires_at ON challenges (expires_at);

-- Secrets of authenticator apps (RFC 6238). A user has at most one that is confirmed and one that is not.
CREATE TABLE totp_secrets (
  -- random
  id TEXT PRIMARY KEY NOT NULL,
  -- the owner
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- the secret, encrypted with AES-256-GCM under DATA_SECRETS. The name of the column and the id are associated data
  secret TEXT NOT NULL,
  -- when it was made
  created_at INTEGER NOT NULL,
  -- when the user showed that the app has it. NULL: it is not a factor yet
  confirmed_at INTEGER,
  -- number of codes that were tried to confirm it
  tries INTEGER NOT NULL,
  -- the time step of the last code that was accepted, so that no code works twice
  last_step INTEGER NOT NULL,
  -- the request with that code
  used_by TEXT,
  -- 1 if it is confirmed
  is_confirmed INTEGER GENERATED ALWAYS AS (confirmed_at IS NOT NULL) VIRTUAL
) STRICT, WITHOUT ROWID;

-- At most one confirmed secret of a user and one other.
CREATE UNIQUE INDEX totp_secrets_user_id ON totp_secrets (user_id, is_confirmed);

-- Finds the secrets that were never confirmed, for the cleanup.
CREATE INDEX totp_secrets_created_at ON totp_secrets (created_at) WHERE confirmed_at IS NULL;

-- Finds the texts that are not under the first data secret, whose id is the beginning of the text.
CREATE INDEX totp_secrets_data_secret ON totp_secrets (substr(secret, 1, 10));

-- Recovery codes that were not used.
CREATE TABLE recovery_codes (
  -- the owner
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- HMAC of the code under DATA_SECRETS, after the id of the secret
  code_hash TEXT NOT NULL,
  PRIMARY KEY (user_id, code_hash)
) STRICT, WITHOUT ROWID;

-- Passkeys (WebAuthn credentials).
CREATE TABLE passkeys (
  -- the id that the authenticator chose, in base64url
  credential_id TEXT PRIMARY KEY NOT NULL,
  -- the owner
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- the public key, a COSE key in base64url
  public_key TEXT NOT NULL,
  -- the name that the user gave it
  name TEXT NOT NULL,
  -- JSON array of the ways to reach the authenticator, as the browser reported
  transports TEXT NOT NULL,
  -- the model of the authenticator, as a UUID, which it may hide
  aaguid TEXT NOT NULL,
  -- whether the authenticator may copy it to other devices. It never changes
  is_backup_eligible INTEGER NOT NULL,
  -- whether it is copied
  is_backed_up INTEGER NOT NULL,
  -- signature counter of the last use. 0 for authenticators that do not count
  counter INTEGER NOT NULL,
  -- when the user added it
  created_at INTEGER NOT NULL,
  -- the last sign-in or step-up
  last_used_at INTEGER,
  -- JSON object of the challenges it answered in the last five minutes: hash and expiry of each, so that no answer works twice
  used_challenges TEXT NOT NULL,
  -- the request that used it last
  used_by TEXT
) STRICT, WITHOUT ROWID;

-- Finds the passkeys of a user, in the order in which they were added.
CREATE INDEX passkeys_user_id ON passkeys (user_id, created_at);

-- Passkeys that were removed. For as long as the challenge of their registration lives, it must not add them again.
CREATE TABLE deleted_passkeys (
  -- the id of the passkey
  credential_id TEXT PRIMARY KEY NOT NULL,
  -- when every challenge from before has expired
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Finds the rows that the cleanup deletes.
CREATE INDEX deleted_passkeys_expires_at ON deleted_passkeys (expires_at);

-- The session of an account with factors begins with two, or with a recovery code. The statements of this release see to it. During a
-- deployment, earlier releases begin sessions too, and this trigger ignores those of such an account.
CREATE TRIGGER refresh_tokens_second_factor BEFORE INSERT ON refresh_tokens
WHEN instr(NEW.amr, 'mfa') = 0
  AND instr(NEW.amr, 'recovery_code') = 0
  AND (
    EXISTS (SELECT 1 FROM totp_secrets AS t WHERE t.user_id = NEW.user_id AND t.is_confirmed = 1)
    OR EXISTS (SELECT 1 FROM passkeys AS p WHERE p.user_id = NEW.user_id)
  )
BEGIN
  SELECT RAISE(IGNORE);
END;

-- Sign-ins that need a further proof. The mfa_token in the response contains the id, authenticated by TOKEN_SECRET.
CREATE TABLE pending_sign_ins (
  -- random
  id TEXT PRIMARY KEY NOT NULL,
  -- the account
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- the version of the credentials that were proved. Once it changes, the sign-in cannot go on
  credentials_version INTEGER NOT NULL,
  -- what was proved: values of RFC 8176, separated by spaces
  amr TEXT NOT NULL,
  -- how the refresh token will travel
  transport TEXT NOT NULL CHECK (transport IN ('body', 'cookie')),
  -- 0 if the user did not ask to be remembered
  remember INTEGER NOT NULL,
  -- key of the throttle of the name, whose failures in a row end with the sign-in
  name_key TEXT,
  -- the passkey that was proved
  passkey_id TEXT,
  -- number of proofs that were tried
  tries INTEGER NOT NULL,
  -- when the first proof was given
  created_at INTEGER NOT NULL,
  -- when it must be complete
  expires_at INTEGER NOT NULL,
  -- the request that completed it
  spent_by TEXT
) STRICT, WITHOUT ROWID;

-- Finds the rows that are deleted with an account.
CREATE INDEX pending_sign_ins_user_id ON pending_sign_ins (user_id);

-- Finds the rows that the cleanup deletes.
CREATE INDEX pending_sign_ins_expires_at ON pending_sign_ins (expires_at);

-- A registration that waits for its code. It reserves neither address nor username. Of several with one address, the first whose code
-- comes back becomes the account.
CREATE TABLE registrations (
  -- the id of the account that it may become
  id TEXT PRIMARY KEY NOT NULL,
  -- the address as entered
  email TEXT NOT NULL,
  -- the address for comparison
  email_key TEXT NOT NULL,
  -- the username as entered
  username TEXT,
  -- the username for comparison
  username_key TEXT,
  -- display name
  name TEXT,
  -- given name
  given_name TEXT,
  -- family name
  family_name TEXT,
  -- JSON object that the user may change
  metadata TEXT,
  -- hash of the password, if the user registered with one
  password_hash TEXT,
  -- JSON object of the passkey, if the user registered with one
  passkey TEXT,
  -- JSON array of role names
  roles TEXT NOT NULL,
  -- slot of the account
  slot INTEGER NOT NULL,
  -- when the user registered
  created_at INTEGER NOT NULL,
  -- IP address of the registration
  created_ip TEXT,
  -- user agent of the registration
  created_user_agent TEXT,
  -- when it stops to wait
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counts the live registrations of an address.
CREATE INDEX registrations_email_key ON registrations (email_key, expires_at);

-- Finds the rows that the cleanup deletes.
CREATE INDEX registrations_expires_at ON registrations (expires_at);

-- A change of address that waits because the user no longer has the old mailbox.
CREATE TABLE email_changes (
  -- the account
  user_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- the new address as entered
  new_email TEXT NOT NULL,
  -- the new address for comparison
  new_email_key TEXT NOT NULL,
  -- the version of the credentials when it was requested. The change is dropped once they change
  credentials_version INTEGER NOT NULL,
  -- 16 random bytes in base64url. The link that cancels the change is an HMAC over it, and no response contains it
  salt TEXT NOT NULL,
  -- when the user confirmed the new mailbox
  requested_at INTEGER NOT NULL,
  -- when the account gets the new address
  takes_effect_at INTEGER NOT NULL,
  -- when the next step is due: a notice to the old address, or after the last notice the change itself
  next_notice_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Finds the changes whose next step is due.
CREATE INDEX email_changes_next_notice_at ON email_changes (next_notice_at);

-- Former addresses, which for a while only their user can take.
CREATE TABLE reserved_emails (
  -- the address for comparison
  email_key TEXT PRIMARY KEY NOT NULL,
  -- the account that had the address, and may take it back
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- when it becomes free
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Finds the rows that are deleted with an account.
CREATE INDEX reserved_emails_user_id ON reserved_emails (user_id);

-- Finds the rows that the cleanup deletes.
CREATE INDEX reserved_emails_expires_at ON reserved_emails (expires_at);

-- Mails to send. The transaction of the event that a mail is about writes the row. It is deleted once the mail is accepted or given up.
CREATE TABLE outbox (
  -- the id of the mail, the same for every attempt
  id TEXT PRIMARY KEY NOT NULL,
  -- the kind of mail
  kind TEXT NOT NULL,
  -- the account that the mail is about
  user_id TEXT,
  -- the recipient. NULL: nothing is sent. Such rows make unknown addresses cost the same work
  email TEXT,
  -- the challenge whose code the mail has. Once it has expired or was spent, the mail is not sent. NULL: the mail has no code
  challenge_id TEXT,
  -- language of the mail
  locale TEXT NOT NULL,
  -- when the event happened
  at INTEGER NOT NULL,
  -- IP address of the client that caused it
  ip TEXT,
  -- user agent of that client
  user_agent TEXT,
  -- the new address, in mails about a change of the address
  detail TEXT,
  -- number of attempts
  attempts INTEGER NOT NULL,
  -- nobody sends it before this time: the end of the lease of a running attempt, or the time of the next one
  claimed_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Finds the mails that are due.
CREATE INDEX outbox_claimed_until ON outbox (claimed_until);

-- Numbers of mails, for the limits on mails.
CREATE TABLE mail_budgets (
  -- what is limited, such as a mailbox, a source, a network, a device, a user or a kind of notice. Mailboxes, sources and networks are
  -- hashes
  key TEXT PRIMARY KEY NOT NULL,
  -- mails since the window began
  used INTEGER NOT NULL,
  -- time of the last mail
  last_at INTEGER NOT NULL,
  -- end of the window
  resets_at INTEGER NOT NULL,
  -- the request that used it last. The later statements of its transaction take effect only if this is their own request
  request_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Finds the rows that the cleanup deletes.
CREATE INDEX mail_budgets_resets_at ON mail_budgets (resets_at);

-- Signing keys that the scheduled event makes, if KEY_ROTATION says so. KV has a copy.
CREATE TABLE signing_keys (
  -- the number of the 30 days since 1970 in which the key signs
  period INTEGER PRIMARY KEY NOT NULL,
  -- the "kid" of its tokens
  kid TEXT NOT NULL,
  -- the algorithm of its tokens
  algorithm TEXT NOT NULL,
  -- when it was made. It is published since then
  created_at INTEGER NOT NULL,
  -- from when on it signs
  activates_at INTEGER NOT NULL,
  -- from when on it no longer signs
  retires_at INTEGER NOT NULL,
  -- from when on it is neither published nor accepted. A refresh may still name a session by a token of it
  expires_at INTEGER NOT NULL,
  -- the private JWK, encrypted under the secret of DATA_SECRETS whose id is at the beginning. All other columns are associated data, so
  -- the row is invalid if one of them changes
  private_key TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The position of the cleanup in a table, which it walks in steps and in the order of the keys.
CREATE TABLE cleanup_progress (
  -- name of the table
  name TEXT PRIMARY KEY NOT NULL,
  -- the last step started after this key
  after TEXT NOT NULL,
  -- the last step ended with this key, inclusive. A tilde, which sorts after every key, means that the walk is finished
  upto TEXT NOT NULL,
  -- when the walk began. The next one begins a day later at the earliest
  begun_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO cleanup_progress (name, after, upto, begun_at) VALUES ('refresh_tokens', '', '~', 0);
