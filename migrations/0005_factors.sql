-- Second factors and passkeys. All is explained in schema.sql.

ALTER TABLE users ADD COLUMN factors_reset_at INTEGER;

ALTER TABLE users ADD COLUMN password_reset_at INTEGER;

ALTER TABLE refresh_tokens ADD COLUMN is_aal2 INTEGER GENERATED ALWAYS AS (instr(amr, 'mfa') > 0) VIRTUAL;

CREATE TABLE totp_secrets (
  id TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  secret TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  confirmed_at INTEGER,
  tries INTEGER NOT NULL,
  last_step INTEGER NOT NULL,
  used_by TEXT,
  is_confirmed INTEGER GENERATED ALWAYS AS (confirmed_at IS NOT NULL) VIRTUAL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX totp_secrets_user_id ON totp_secrets (user_id, is_confirmed);

CREATE INDEX totp_secrets_created_at ON totp_secrets (created_at) WHERE confirmed_at IS NULL;

CREATE INDEX totp_secrets_data_secret ON totp_secrets (substr(secret, 1, 10));

CREATE TABLE recovery_codes (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  code_hash TEXT NOT NULL,
  PRIMARY KEY (user_id, code_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE passkeys (
  credential_id TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  public_key TEXT NOT NULL,
  name TEXT NOT NULL,
  transports TEXT NOT NULL,
  aaguid TEXT NOT NULL,
  is_backup_eligible INTEGER NOT NULL,
  is_backed_up INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER,
  used_challenges TEXT NOT NULL,
  used_by TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX passkeys_user_id ON passkeys (user_id, created_at);

CREATE TABLE deleted_passkeys (
  credential_id TEXT PRIMARY KEY NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX deleted_passkeys_expires_at ON deleted_passkeys (expires_at);

CREATE TABLE pending_sign_ins (
  id TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  credentials_version INTEGER NOT NULL,
  amr TEXT NOT NULL,
  transport TEXT NOT NULL CHECK (transport IN ('body', 'cookie')),
  remember INTEGER NOT NULL,
  name_key TEXT,
  passkey_id TEXT,
  tries INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  spent_by TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX pending_sign_ins_user_id ON pending_sign_ins (user_id);

CREATE INDEX pending_sign_ins_expires_at ON pending_sign_ins (expires_at);

-- A registration may have a passkey in place of a password.
CREATE TABLE earlier_registrations AS SELECT * FROM registrations;

DROP TABLE registrations;

CREATE TABLE registrations (
  id TEXT PRIMARY KEY NOT NULL,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL,
  username TEXT,
  username_key TEXT,
  name TEXT,
  given_name TEXT,
  family_name TEXT,
  metadata TEXT,
  password_hash TEXT,
  passkey TEXT,
  roles TEXT NOT NULL,
  slot INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_ip TEXT,
  created_user_agent TEXT,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX registrations_email_key ON registrations (email_key, expires_at);

CREATE INDEX registrations_expires_at ON registrations (expires_at);

INSERT INTO registrations (
  id, email, email_key, username, username_key, name, given_name, family_name, metadata, password_hash, roles, slot,
  created_at, created_ip, created_user_agent, expires_at
)
SELECT
  id, email, email_key, username, username_key, name, given_name, family_name, metadata, password_hash, roles, slot,
  created_at, created_ip, created_user_agent, expires_at
FROM earlier_registrations;

DROP TABLE earlier_registrations;

ALTER TABLE refresh_tokens ADD COLUMN passkey_id TEXT;

CREATE INDEX refresh_tokens_passkey_id ON refresh_tokens (passkey_id) WHERE passkey_id IS NOT NULL;

DROP VIEW user_objects;

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
