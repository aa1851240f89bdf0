-- The audit trail, the index that finds admins, who may act, and where the sweep has got to. All is explained in schema.sql.

ALTER TABLE users ADD COLUMN created_ip TEXT;
ALTER TABLE users ADD COLUMN created_user_agent TEXT;

CREATE INDEX users_admins ON users (disabled_at) WHERE instr(roles, '"admin"') > 0;

DROP INDEX refresh_tokens_user_id;
CREATE INDEX refresh_tokens_user_id ON refresh_tokens (user_id, created_at);

CREATE VIEW callers AS
SELECT
  f.family_id, f.user_id, f.expires_at, u.roles, u.password_version,
  instr(u.roles, '"admin"') > 0 AS is_admin
FROM refresh_tokens AS f
JOIN users AS u ON u.id = f.user_id
WHERE f.revoked_at IS NULL AND u.disabled_at IS NULL;

CREATE VIEW admins AS
SELECT id
FROM users
WHERE instr(roles, '"admin"') > 0 AND disabled_at IS NULL;

CREATE TABLE events (
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

CREATE INDEX events_at ON events (at);

CREATE TABLE sweeps (
  name TEXT PRIMARY KEY NOT NULL,
  after TEXT NOT NULL,
  upto TEXT NOT NULL,
  begun_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO sweeps (name, after, upto, begun_at) VALUES ('refresh_tokens', '', '~', 0);
