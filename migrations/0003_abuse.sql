-- Protection against guessing and flooding. All is explained in schema.sql.

UPDATE refresh_tokens SET revoked_reason = 'evicted' WHERE revoked_reason = 'session_limit';

CREATE TABLE throttles (
  key TEXT PRIMARY KEY NOT NULL,
  steps INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  until INTEGER NOT NULL,
  request_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX throttles_last_at ON throttles (last_at) WHERE key < 'name:' OR key > 'name:~';
