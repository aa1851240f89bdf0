INSERT INTO events (
  user_id, at, id, kind, count, last_at, session_id, ip, user_agent, other_ip, other_user_agent, detail
)
SELECT
  user_id, ?4, ?11, 'reuse_detected', 1, ?4, family_id, ?7, ?8, rotated_ip, rotated_user_agent,
  CASE WHEN generation = ?3 + 1 THEN 'predecessor' ELSE 'older' END
FROM refresh_tokens
WHERE family_id = ?1
  AND secret_hash = ?2
  AND (?10 IS NULL OR user_id = ?10)
  AND revoked_at IS NULL
  AND generation > ?3
  AND (generation > ?3 + 1 OR rotated_at <= ?4 - ?5)
