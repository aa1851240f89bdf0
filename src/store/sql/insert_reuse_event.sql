INSERT INTO events (
  user_id, at, id, kind, count, last_at, session_id, ip, user_agent, other_ip, other_user_agent, detail
)
SELECT user_id, ?3, ?4, 'reuse_detected', 1, ?3, family_id, ?5, ?6, rotated_ip, rotated_user_agent, ?7
FROM refresh_tokens
WHERE family_id = ?1
  AND secret_hash = ?2
  AND revoked_at IS NULL
