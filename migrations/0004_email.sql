-- E-mail: codes, the outbox, registrations that wait for their code, and changes of address. All is explained in schema.sql.

CREATE TABLE challenges (
  id TEXT PRIMARY KEY NOT NULL,
  purpose TEXT NOT NULL,
  user_id TEXT,
  email_key TEXT NOT NULL,
  new_email TEXT,
  new_email_key TEXT,
  credentials_version INTEGER,
  roles TEXT,
  salt TEXT NOT NULL,
  token_hash TEXT,
  source TEXT NOT NULL,
  tries INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ip TEXT,
  user_agent TEXT,
  locale TEXT NOT NULL,
  spent_by TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX challenges_email_key ON challenges (email_key, expires_at);

CREATE INDEX challenges_expires_at ON challenges (expires_at);

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
  password_hash TEXT NOT NULL,
  roles TEXT NOT NULL,
  slot INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_ip TEXT,
  created_user_agent TEXT,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX registrations_email_key ON registrations (email_key, expires_at);

CREATE INDEX registrations_expires_at ON registrations (expires_at);

CREATE TABLE email_changes (
  user_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  new_email TEXT NOT NULL,
  new_email_key TEXT NOT NULL,
  credentials_version INTEGER NOT NULL,
  salt TEXT NOT NULL,
  requested_at INTEGER NOT NULL,
  takes_effect_at INTEGER NOT NULL,
  next_notice_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX email_changes_next_notice_at ON email_changes (next_notice_at);

CREATE TABLE reserved_emails (
  email_key TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX reserved_emails_user_id ON reserved_emails (user_id);

CREATE INDEX reserved_emails_expires_at ON reserved_emails (expires_at);

CREATE TABLE outbox (
  id TEXT PRIMARY KEY NOT NULL,
  kind TEXT NOT NULL,
  user_id TEXT,
  email TEXT,
  challenge_id TEXT,
  locale TEXT NOT NULL,
  at INTEGER NOT NULL,
  ip TEXT,
  user_agent TEXT,
  detail TEXT,
  attempts INTEGER NOT NULL,
  claimed_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_claimed_until ON outbox (claimed_until);

CREATE TABLE mail_budgets (
  key TEXT PRIMARY KEY NOT NULL,
  used INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  resets_at INTEGER NOT NULL,
  request_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX mail_budgets_resets_at ON mail_budgets (resets_at);
