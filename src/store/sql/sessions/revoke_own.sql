-- ?1 session_id, ?2 user_id, ?3 caller session_id, ?4 now, ?5 reason, ?6 ip, ?7 user_agent.
-- Cost: the session and the caller read, 3 rows written (the session, its index entry, its owed mark).
UPDATE refresh_tokens
SET revoked_at = ?4, revoked_reason = ?5, revoked_ip = ?6, revoked_user_agent = ?7
WHERE session_id = ?1
  AND user_id = ?2
  AND revoked_at IS NULL
  AND expires_at > ?4
  AND EXISTS (SELECT 1 FROM callers WHERE session_id = ?3 AND user_id = ?2 AND expires_at > ?4)
RETURNING session_id
