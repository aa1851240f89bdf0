-- ?1 user_id, ?2 at, ?3 event_id.
-- Cost: the sessions of the user read by index, 1 row written for each, and 1 for each owed mark.
DELETE FROM refresh_tokens
WHERE user_id = (SELECT ?1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
