-- Portcullis, the schema as it stands. The migrations lead to it, and a test proves that both give the same.
-- Times are unix seconds. A nullable time is a state: NULL means "has not happened".
-- Identifiers are 16 random bytes, base64url without padding (22 characters): they carry no order and no meaning.

-- One row a person.
CREATE TABLE users (
  -- the "sub" claim of the access tokens
  id TEXT PRIMARY KEY NOT NULL,
  -- the address as it was entered, for showing and for sending to
  email TEXT NOT NULL,
  -- what two addresses are compared by: trimmed, NFC, lower case
  email_key TEXT NOT NULL,
  -- optional second name to log in by, as it was entered
  username TEXT,
  -- what two usernames are compared by: lower case
  username_key TEXT,
  -- optional name to show
  name TEXT,
  -- Argon2id PHC string: parameters, salt and hash
  password_hash TEXT NOT NULL,
  -- counts changes of the password, not rehashes of the same one: a log-in that verified an older one is refused
  password_version INTEGER NOT NULL,
  -- JSON array of role names, the "roles" claim
  roles TEXT NOT NULL,
  -- when the account was made
  created_at INTEGER NOT NULL,
  -- set while the account is shut out: no log-in, no refresh, no account route
  disabled_at INTEGER
) STRICT, WITHOUT ROWID;

-- One account an address, whoever comes first.
CREATE UNIQUE INDEX users_email_key ON users (email_key);

-- Partial, so that people without a username cost no index entry.
CREATE UNIQUE INDEX users_username_key ON users (username_key) WHERE username_key IS NOT NULL;

-- One row a family (a signed-in session) for its whole life. Refreshing updates the row in place and never adds one.
-- No token can be made from what is here: the tag needs the token secret, and only a hash of the family secret is kept.
CREATE TABLE refresh_tokens (
  -- the "sid" claim of the access tokens of the session
  family_id TEXT PRIMARY KEY NOT NULL,
  -- whose session it is
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  -- SHA-256 of the secret every token of the family carries, base64url
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
  -- disabled: the account was shut out by hand
  revoked_reason TEXT,
  CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT, WITHOUT ROWID;

-- Finds the sessions of a user. No column that refreshing writes is in an index, so a refresh writes one row.
CREATE INDEX refresh_tokens_user_id ON refresh_tokens (user_id);
