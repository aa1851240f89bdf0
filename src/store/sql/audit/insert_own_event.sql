-- ?1 caller session_id, ?2 caller user_id, ?3 now, ?4 id, ?5 kind, ?6 session_id to store, ?7 ip, ?8 user_agent,
-- ?9 credentials_version, ?10 key of a throttle or NULL.
-- Cost: 1 session, its user and 1 throttle read, 2 rows written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, session_id, ip, user_agent)
SELECT user_id, ?3, ?4, ?5, 1, ?3, ?6, ?7, ?8
FROM callers
WHERE session_id = ?1
  AND user_id = ?2
  AND expires_at > ?3
  AND credentials_version = ?9
  AND NOT EXISTS (SELECT 1 FROM throttles AS t WHERE t.key = ?10 AND t.until > ?3)
  AND (
    ?5 <> 'deleted'
    OR is_admin = 0
    OR EXISTS (SELECT 1 FROM admins WHERE admins.id <> ?2)
  )
RETURNING id
