-- The schema. All is explained in schema.sql.

CREATE TABLE users (
  id TEXT PRIMARY KEY NOT NULL,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL,
  username TEXT,
  username_key TEXT,
  name TEXT,
  password_hash TEXT,
  credentials_version INTEGER NOT NULL,
  roles TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  disabled_at INTEGER,
  created_ip TEXT,
  created_user_agent TEXT,
  email_verified_at INTEGER,
  slot INTEGER NOT NULL,
  given_name TEXT,
  family_name TEXT,
  metadata TEXT,
  app_metadata TEXT,
  is_admin INTEGER GENERATED ALWAYS AS (instr(roles, '"admin"') > 0) VIRTUAL,
  CHECK (slot BETWEEN 0 AND 4095)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX users_email_key ON users (email_key);

CREATE UNIQUE INDEX users_username_key ON users (username_key) WHERE username_key IS NOT NULL;

CREATE INDEX users_admins ON users (disabled_at) WHERE is_admin = 1;

CREATE VIEW user_objects AS
SELECT
  id, email_key, username_key, password_hash, credentials_version, slot,
  json_object(
    'id', id, 'email', email, 'email_verified_at', email_verified_at, 'username', username, 'name', name,
    'given_name', given_name, 'family_name', family_name, 'roles', roles, 'metadata', metadata, 'app_metadata', app_metadata,
    'created_at', created_at, 'disabled_at', disabled_at
  ) AS user
FROM users;

CREATE TABLE slot_key (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  secret TEXT NOT NULL
) STRICT;

INSERT INTO slot_key (id, secret) VALUES (1, lower(hex(randomblob(32))));

CREATE TABLE refresh_tokens (
  session_id TEXT PRIMARY KEY NOT NULL,
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
  amr TEXT NOT NULL,
  authenticated_at INTEGER NOT NULL,
  is_ended INTEGER GENERATED ALWAYS AS (revoked_at IS NOT NULL) VIRTUAL,
  CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_user_id ON refresh_tokens (user_id, is_ended, created_at);

CREATE VIEW callers AS
SELECT s.session_id, s.user_id, s.expires_at, u.credentials_version, u.is_admin
FROM refresh_tokens AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.revoked_at IS NULL AND u.disabled_at IS NULL;

CREATE VIEW admins AS
SELECT id
FROM users
WHERE is_admin = 1 AND disabled_at IS NULL;

CREATE TABLE owed_marks (
  user_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  access_expires_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, session_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER refresh_tokens_revoked AFTER UPDATE OF revoked_at ON refresh_tokens
WHEN OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL AND NEW.access_expires_at > unixepoch() - 60
BEGIN
  INSERT OR REPLACE INTO owed_marks (user_id, session_id, access_expires_at)
  VALUES (NEW.user_id, NEW.session_id, NEW.access_expires_at);
END;

CREATE TRIGGER refresh_tokens_deleted AFTER DELETE ON refresh_tokens
WHEN OLD.revoked_at IS NULL AND OLD.access_expires_at > unixepoch() - 60
BEGIN
  INSERT OR REPLACE INTO owed_marks (user_id, session_id, access_expires_at)
  VALUES (OLD.user_id, OLD.session_id, OLD.access_expires_at);
END;

CREATE TABLE audit_events (
  user_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  count INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  actor_id TEXT,
  session_id TEXT,
  ip TEXT,
  user_agent TEXT,
  other_ip TEXT,
  other_user_agent TEXT,
  detail TEXT,
  PRIMARY KEY (user_id, at, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_events_at ON audit_events (at);

CREATE TABLE cleanup_progress (
  name TEXT PRIMARY KEY NOT NULL,
  after TEXT NOT NULL,
  upto TEXT NOT NULL,
  begun_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO cleanup_progress (name, after, upto, begun_at) VALUES ('refresh_tokens', '', '~', 0);
