-- ?1 user_id, ?2 at, ?3 event_id.
-- Cost: the sessions of the user with is_ended = 0 read by index, nothing written.
SELECT count(*) AS sessions
FROM refresh_tokens
WHERE user_id = (SELECT ?1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
  AND is_ended = 0
  AND expires_at > ?2
