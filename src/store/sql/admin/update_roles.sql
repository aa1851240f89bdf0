-- ?1 user_id, ?2 at, ?3 event_id, ?4 roles.
-- Cost: 1 event read, 1 row written, plus an index entry if the user becomes or stops being an admin.
UPDATE users
SET roles = ?4
WHERE id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
