-- ?1 caller session_id, ?2 caller user_id, ?3 now, ?4 id of the event, ?5 kind, ?6 ip, ?7 user_agent.
-- Cost: 1 row, the session and its user read, 2 rows written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, session_id, ip, user_agent)
SELECT c.user_id, ?3, ?4, ?5, 1, ?3, s.session_id, ?6, ?7
FROM email_changes AS c
JOIN callers AS s ON s.user_id = c.user_id
WHERE c.user_id = ?2 AND s.session_id = ?1 AND s.expires_at > ?3
RETURNING id
