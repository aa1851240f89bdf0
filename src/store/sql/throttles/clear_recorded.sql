-- ?1 user_id, ?2 at, ?3 event_id, ?4 key.
-- Cost: 1 event read, at most 1 row written.
DELETE FROM throttles
WHERE key = ?4
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
