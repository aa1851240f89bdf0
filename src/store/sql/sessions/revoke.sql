-- ?1 session_id, ?2 secret_hash or NULL for any, ?3 now, ?4 reason, ?5 ip, ?6 user_agent.
-- Cost: 1 row read, 3 written (the session, its index entry, its owed mark).
UPDATE refresh_tokens
SET revoked_at = ?3, revoked_reason = ?4, revoked_ip = ?5, revoked_user_agent = ?6
WHERE session_id = ?1
  AND (?2 IS NULL OR secret_hash = ?2)
  AND revoked_at IS NULL
RETURNING user_id
