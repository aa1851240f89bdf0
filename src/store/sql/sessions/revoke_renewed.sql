-- ?1 session_id of the caller, ?2 user_id, ?3 now, ?4 ip, ?5 user_agent, ?6 session_id of the new session.
-- Cost: 2 sessions read, 3 rows written (the session, its index entry, its owed mark).
UPDATE refresh_tokens
SET revoked_at = ?3, revoked_reason = 'renewed', revoked_ip = ?4, revoked_user_agent = ?5
WHERE session_id = ?1
  AND user_id = ?2
  AND revoked_at IS NULL
  AND EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = ?6)
RETURNING session_id, user_id, access_expires_at
