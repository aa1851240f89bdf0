-- How the refresh token of a session travels, and whether it is remembered. All is explained in schema.sql.

ALTER TABLE refresh_tokens ADD COLUMN transport TEXT NOT NULL DEFAULT 'body' CHECK (transport IN ('body', 'cookie'));

ALTER TABLE refresh_tokens ADD COLUMN remember INTEGER NOT NULL DEFAULT 1;

DROP VIEW callers;

CREATE VIEW callers AS
SELECT s.session_id, s.user_id, s.expires_at, s.transport, s.remember, u.credentials_version, u.is_admin
FROM refresh_tokens AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.revoked_at IS NULL AND u.disabled_at IS NULL;
