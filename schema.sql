-- Portcullis, the schema as it stands. The migrations lead to it, and a test proves that both give the same.
-- Times are unix seconds. A nullable time is a state: NULL means "has not happened".
-- Identifiers are 16 random bytes, base64url without padding (22 characters): they carry no order and no meaning. An
-- imported account may have brought its own. The id of a session begins with the slot of its owner (12 bits).

-- One row per user.
CREATE TABLE users (
  -- the "sub" claim of the access tokens
  id TEXT PRIMARY KEY NOT NULL,
  -- the address as it was entered, for showing and for sending to
  email TEXT NOT NULL,
  -- what two addresses are compared by: trimmed, NFC, case folded, the domain in ASCII
  email_key TEXT NOT NULL,
  -- optional second name to log in by, as it was entered
  username TEXT,
  -- what two usernames are compared by: lower case
  username_key TEXT,
  -- optional name to show
  name TEXT,
  -- Argon2id PHC string: parameters, salt and hash, of the password in NFC. Of an imported account, until its owner logs in,
  -- what its old system made of what was typed, and longer if that does not read the whole password: "argon2" in front of
  -- an Argon2 PHC string, or a form of crates/core/src/password/imported/, or "$wrapped", that form without its hash, and an Argon2id
  -- over it. NULL: the account has no password, and no password is right
  password_hash TEXT,
  -- counts changes of the credentials, not rehashes of the same password: a log-in that verified an older one is refused
  credentials_version INTEGER NOT NULL,
  -- JSON array of role names, the "roles" claim
  roles TEXT NOT NULL,
  -- when the account was made
  created_at INTEGER NOT NULL,
  -- set while the account is disabled: no log-in, no refresh, no account route
  disabled_at INTEGER,
  -- the address it was registered from, as the platform tells it
  created_ip TEXT,
  -- the user agent it was registered with, as the client tells it, cut to 256 characters
  created_user_agent TEXT,
  -- when the user proved that the address is theirs
  email_verified_at INTEGER,
  -- 0 to 4095, made of email_key at registration: what the sessions of the user begin with, so that users can be moved to
  -- another database by slots
  slot INTEGER NOT NULL,
  -- optional given name
  given_name TEXT,
  -- optional family name
  family_name TEXT,
  -- JSON object, to be changed by the user
  metadata TEXT,
  -- JSON object, to be changed by admins
  app_metadata TEXT,
  -- whether the roles grant access to the admin routes
  is_admin INTEGER GENERATED ALWAYS AS (instr(roles, '"admin"') > 0) VIRTUAL,
  CHECK (slot BETWEEN 0 AND 4095)
) STRICT, WITHOUT ROWID;

-- One account per address.
CREATE UNIQUE INDEX users_email_key ON users (email_key);

-- Partial, so that users without a username cost no index entry.
CREATE UNIQUE INDEX users_username_key ON users (username_key) WHERE username_key IS NOT NULL;

-- Finds the admins, so that the last one is known as such. Partial: other users cost no index entry.
CREATE INDEX users_admins ON users (disabled_at) WHERE is_admin = 1;

-- The user object: the columns that a user is shown by, as one JSON text, and what finds and verifies a user beside it. The
-- one place that selects these columns. One text is faster to read than its members, each of which crosses from the runtime.
CREATE VIEW user_objects AS
SELECT
  id, email_key, username_key, password_hash, credentials_version, slot,
  json_object(
    'id', id, 'email', email, 'email_verified_at', email_verified_at, 'username', username, 'name', name,
    'given_name', given_name, 'family_name', family_name, 'roles', roles, 'metadata', metadata, 'app_metadata', app_metadata,
    'created_at', created_at, 'disabled_at', disabled_at
  ) AS user
FROM users;

-- The key of the function that makes a slot of an address, so that a session id says nothing of an address. Never changes,
-- and is the same in all databases of a deployment. It protects nothing else.
CREATE TABLE slot_key (
  -- there is one row
  id INTEGER PRIMARY KEY CHECK (id = 1),
  -- 32 random bytes in hexadecimal
  secret TEXT NOT NULL
) STRICT;

INSERT INTO slot_key (id, secret) VALUES (1, lower(hex(randomblob(32))));

-- One row per session for its whole life. Refreshing updates the row in place and never adds one.
-- No token can be made from what is here: the tag needs the token secret, and only a hash of the session secret is kept.
CREATE TABLE refresh_tokens (
  -- the "sid" claim of the access tokens of the session
  session_id TEXT PRIMARY KEY NOT NULL,
  -- whose session it is
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- SHA-256 of the secret every token of the session carries, base64url
  secret_hash TEXT NOT NULL,
  -- the one live generation: a token of an older one has been rotated out
  generation INTEGER NOT NULL,
  -- how often the predecessor was presented again within the grace window since the last rotation
  grace_retries INTEGER NOT NULL,
  -- the log-in
  created_at INTEGER NOT NULL,
  -- its address, as the platform tells it
  created_ip TEXT,
  -- its user agent, as the client tells it, cut to 256 characters
  created_user_agent TEXT,
  -- the last rotation, or the log-in while there has been none
  rotated_at INTEGER NOT NULL,
  -- its address
  rotated_ip TEXT,
  -- its user agent
  rotated_user_agent TEXT,
  -- idle end: slides with every rotation, never past the absolute end
  expires_at INTEGER NOT NULL,
  -- absolute end: set once at log-in, never moves
  absolute_expires_at INTEGER NOT NULL,
  -- until when an access token of the session can live: as long a mark in KV has to, if the session is ended
  access_expires_at INTEGER NOT NULL,
  -- when the session was ended, if it did not just expire
  revoked_at INTEGER,
  -- the address that ended it
  revoked_ip TEXT,
  -- the user agent that ended it
  revoked_user_agent TEXT,
  -- logout: its own token was revoked. ended_by_user: from another session. logout_all: "log out everywhere". reuse: a rotated-out token came back.
  -- password_changed: the password was changed. ended_by_admin, disabled: by an admin. session_limit: ended by MAX_SESSIONS_PER_USER. expired: the same, but the session had already expired
  revoked_reason TEXT,
  -- how the user authenticated: values of RFC 8176, separated by spaces
  amr TEXT NOT NULL,
  -- when the user authenticated. A refresh leaves it
  authenticated_at INTEGER NOT NULL,
  -- whether it was ended: 0 for the sessions that are in force or have expired
  is_ended INTEGER GENERATED ALWAYS AS (revoked_at IS NOT NULL) VIRTUAL,
  CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT, WITHOUT ROWID;

-- Finds the sessions of a user, those that have not been ended apart from the others, in the order in which they began. No
-- column that refreshing writes is in an index, so a refresh writes one row.
CREATE INDEX refresh_tokens_user_id ON refresh_tokens (user_id, is_ended, created_at);

-- The sessions that may act, once their expires_at has been compared with the clock: not ended, and of an account that is
-- not disabled. What only a signed-in person, or only an admin, may change or list has this in its own statement.
CREATE VIEW callers AS
SELECT s.session_id, s.user_id, s.expires_at, u.credentials_version, u.is_admin
FROM refresh_tokens AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.revoked_at IS NULL AND u.disabled_at IS NULL;

-- Enabled admins.
CREATE VIEW admins AS
SELECT id
FROM users
WHERE is_admin = 1 AND disabled_at IS NULL;

-- The sessions whose revocation is still to be marked in KV: whatever ends a session owes a mark from that statement on, and
-- the row goes once the mark is written. A scheduled event writes the marks of the rows that remain.
CREATE TABLE owed_marks (
  -- whose session it was. The account may be gone
  user_id TEXT NOT NULL,
  -- the session
  session_id TEXT NOT NULL,
  -- when the last access token of the session expires: the mark is useless after that
  access_expires_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, session_id)
) STRICT, WITHOUT ROWID;

-- A session that is ended while an access token of it can live owes its mark. 60 seconds are the most leeway that clocks
-- are given.
CREATE TRIGGER refresh_tokens_revoked AFTER UPDATE OF revoked_at ON refresh_tokens
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.access_expires_at > unixepoch() - 60
BEGIN
  INSERT OR REPLACE INTO owed_marks (user_id, session_id, access_expires_at)
  VALUES (NEW.user_id, NEW.session_id, NEW.access_expires_at);
END;

-- So does one that is deleted, as with its account.
CREATE TRIGGER refresh_tokens_deleted AFTER DELETE ON refresh_tokens
WHEN OLD.revoked_at IS NULL AND OLD.access_expires_at > unixepoch() - 60
BEGIN
  INSERT OR REPLACE INTO owed_marks (user_id, session_id, access_expires_at)
  VALUES (OLD.user_id, OLD.session_id, OLD.access_expires_at);
END;

-- The audit trail, but for what other rows record already: registrations are in users, log-ins and ended sessions in
-- refresh_tokens. A change of an account is decided by the statement that inserts its event: the other statements of the
-- same transaction take place only if the event is there.
CREATE TABLE audit_events (
  -- whose account. Empty for failed log-ins to accounts that do not exist
  user_id TEXT NOT NULL,
  -- when. Of what is counted, the start of the hour
  at INTEGER NOT NULL,
  -- tells events of one second apart, in their order. The kind itself where there is one row an hour
  id TEXT NOT NULL,
  -- login_failed, registration_attempted, password_changed, profile_changed, reuse_detected, sessions_ended, disabled, enabled, roles_changed, deleted
  kind TEXT NOT NULL,
  -- how often it happened: 1, but for failed log-ins, attempted registrations and changed profiles
  count INTEGER NOT NULL,
  -- when it happened last
  last_at INTEGER NOT NULL,
  -- the admin who did it. NULL: the person, or the command line
  actor_id TEXT,
  -- the session it was done from, or that it happened to
  session_id TEXT,
  -- the address it came from last. NULL for what an admin did
  ip TEXT,
  -- the user agent it came from last
  user_agent TEXT,
  -- reuse_detected: the address of the last refresh. login_failed, registration_attempted: the address of the first in the hour
  other_ip TEXT,
  -- the same of the user agent
  other_user_agent TEXT,
  -- of reuse_detected: predecessor or older. Of roles_changed: the new roles, as JSON. Of profile_changed: names the last change of the hour
  detail TEXT,
  PRIMARY KEY (user_id, at, id)
) STRICT, WITHOUT ROWID;

-- Finds the oldest, for the cleanup.
CREATE INDEX audit_events_at ON audit_events (at);

-- How far the cleanup has walked through a table, in the order of its keys and in steps.
CREATE TABLE cleanup_progress (
  -- the table
  name TEXT PRIMARY KEY NOT NULL,
  -- the last step went from behind this key
  after TEXT NOT NULL,
  -- to this one, which is in it. A tilde comes after every key: that step was the last, and the next begins anew
  upto TEXT NOT NULL,
  -- when the walk began. Another one begins a day later
  begun_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO cleanup_progress (name, after, upto, begun_at) VALUES ('refresh_tokens', '', '~', 0);
