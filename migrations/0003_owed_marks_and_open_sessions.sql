-- Finds the sessions that have not been ended, and keeps which revocations are still to be marked in KV. All is explained in
-- schema.sql.

ALTER TABLE refresh_tokens ADD COLUMN is_ended INTEGER GENERATED ALWAYS AS (revoked_at IS NOT NULL) VIRTUAL;

DROP INDEX refresh_tokens_user_id;
CREATE INDEX refresh_tokens_user_id ON refresh_tokens (user_id, is_ended, created_at);

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
  VALUES (NEW.user_id, NEW.family_id, NEW.access_expires_at);
END;

CREATE TRIGGER refresh_tokens_deleted AFTER DELETE ON refresh_tokens
WHEN OLD.revoked_at IS NULL AND OLD.access_expires_at > unixepoch() - 60
BEGIN
  INSERT OR REPLACE INTO owed_marks (user_id, session_id, access_expires_at)
  VALUES (OLD.user_id, OLD.family_id, OLD.access_expires_at);
END;
