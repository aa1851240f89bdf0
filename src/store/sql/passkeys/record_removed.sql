-- ?1 caller session_id, ?2 caller user_id, ?3 now, ?4 id of the event, ?5 detail, ?6 ip, ?7 user_agent, ?8 credentials_version,
-- ?9 credential_id.
-- Cost: the caller and 1 passkey read, 2 rows written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, session_id, ip, user_agent, detail)
SELECT user_id, ?3, ?4, 'factor_removed', 1, ?3, session_id, ?6, ?7, ?5
FROM callers
WHERE session_id = ?1
  AND user_id = ?2
  AND expires_at > ?3
  AND credentials_version = ?8
  AND EXISTS (SELECT 1 FROM passkeys AS p WHERE p.credential_id = ?9 AND p.user_id = ?2)
RETURNING id
