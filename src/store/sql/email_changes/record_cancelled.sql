-- ?1 user_id, ?2 now, ?3 id of the event, ?4 kind, ?5 salt, ?6 ip, ?7 user_agent, ?8 detail.
-- Cost: 1 row read, 2 written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, ip, user_agent, detail)
SELECT user_id, ?2, ?3, ?4, 1, ?2, ?6, ?7, ?8
FROM email_changes
WHERE user_id = ?1 AND salt = ?5
RETURNING id
