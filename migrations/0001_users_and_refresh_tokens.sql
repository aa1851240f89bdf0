-- Users and refresh tokens. Every column is explained in schema.sql.

CREATE TABLE users (
  id TEXT PRIMARY KEY NOT NULL,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL,
  username TEXT,
  username_key TEXT,
  name TEXT,
  password_hash TEXT NOT NULL,
  password_version INTEGER NOT NULL,
  roles TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  disabled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX users_email_key ON users (email_key);

CREATE UNIQUE INDEX users_username_key ON users (username_key) WHERE username_key IS NOT NULL;

CREATE TABLE refresh_tokens (
  family_id TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  secret_hash TEXT NOT NULL,
  generation INTEGER NOT NULL,
  grace_retries INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_ip TEXT,
  created_user_agent TEXT,
  rotated_at INTEGER NOT NULL,
  rotated_ip TEXT,
  rotated_user_agent TEXT,
  expires_at INTEGER NOT NULL,
  absolute_expires_at INTEGER NOT NULL,
  access_expires_at INTEGER NOT NULL,
  revoked_at INTEGER,
  revoked_ip TEXT,
  revoked_user_agent TEXT,
  revoked_reason TEXT,
  CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_user_id ON refresh_tokens (user_id);
