-- ?1 session_id, ?2 secret_hash, ?3 generation, ?4 now, ?5 grace, ?6 ip, ?7 user_agent, ?8 id.
-- Cost: 1 row read, 2 written (the event and its index entry).
INSERT INTO audit_events (
  user_id, at, id, kind, count, last_at, session_id, ip, user_agent, other_ip, other_user_agent, detail
)
SELECT
  user_id, ?4, ?8, 'reuse_detected', 1, ?4, session_id, ?6, ?7, rotated_ip, rotated_user_agent,
  CASE WHEN generation = ?3 + 1 THEN 'predecessor' ELSE 'older' END
FROM refresh_tokens
WHERE session_id = ?1
  AND secret_hash = ?2
  AND revoked_at IS NULL
  AND generation > ?3
  AND (generation > ?3 + 1 OR rotated_at <= ?4 - ?5)
