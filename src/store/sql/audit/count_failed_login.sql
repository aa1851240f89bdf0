-- ?1 user_id, empty if there is no account, ?2 now, ?3 session_id, ?4 ip, ?5 user_agent, ?6 kind, ?7 key of the throttle,
-- ?8 request_id, ?9 whether only a failure that began a wait counts.
-- Cost: 1 row written, plus an index entry for the first failure of an hour.
INSERT INTO audit_events (
  user_id, at, id, kind, count, last_at, session_id, ip, user_agent, other_ip, other_user_agent
)
SELECT ?1, ?2 - ?2 % 3600, ?6, ?6, 1, ?2, ?3, ?4, ?5, ?4, ?5
FROM throttles AS t
WHERE t.key = ?7
  AND t.request_id = ?8
  AND (t.until > ?2 OR NOT ?9)
  AND (?1 = '' OR EXISTS (SELECT 1 FROM users WHERE id = ?1))
ON CONFLICT (user_id, at, id) DO UPDATE
SET
  count = count + 1, last_at = excluded.last_at, session_id = excluded.session_id,
  ip = excluded.ip, user_agent = excluded.user_agent
