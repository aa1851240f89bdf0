-- ?1 session_id, ?2 secret_hash, ?3 generation, ?4 now, ?5 grace, ?6 ip, ?7 user_agent.
-- Cost: 1 row read, 3 written (the session, its index entry, its owed mark).
UPDATE refresh_tokens
SET revoked_at = ?4, revoked_reason = 'reuse', revoked_ip = ?6, revoked_user_agent = ?7
WHERE session_id = ?1
  AND secret_hash = ?2
  AND revoked_at IS NULL
  AND generation > ?3
  AND (generation > ?3 + 1 OR rotated_at <= ?4 - ?5)
RETURNING session_id
