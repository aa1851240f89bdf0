-- ?1 user_id, ?2 now, ?3 number of evicted sessions, ?4 session_id of the new session, ?5 ip, ?6 user_agent.
-- Cost: 1 user read, 1 row written, plus an index entry for the first eviction of an hour.
INSERT INTO audit_events (
  user_id, at, id, kind, count, last_at, session_id, ip, user_agent, other_ip, other_user_agent
)
SELECT id, ?2 - ?2 % 3600, 'sessions_evicted', 'sessions_evicted', ?3, ?2, ?4, ?5, ?6, ?5, ?6
FROM users
WHERE id = ?1
ON CONFLICT (user_id, at, id) DO UPDATE
SET
  count = count + excluded.count, last_at = excluded.last_at, session_id = excluded.session_id,
  ip = excluded.ip, user_agent = excluded.user_agent
RETURNING count
