-- ?1 user_id, ?2 at, ?3 event_id, ?4 JSON object of the columns to set.
-- Cost: 1 event read, 1 row written.
UPDATE users
SET
  metadata = CASE WHEN json_type(?4, '$.metadata') IS NULL THEN metadata ELSE ?4 ->> '$.metadata' END,
  app_metadata = CASE WHEN json_type(?4, '$.app_metadata') IS NULL THEN app_metadata ELSE ?4 ->> '$.app_metadata' END
WHERE id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
