-- ?1 user_id, ?2 now, ?3 detail of the event, ?4 whether to set the username, ?5 username, ?6 username_key,
-- ?7 JSON object of the other columns to set.
-- Cost: 1 event read, 1 row written, plus an index entry for each username added or removed.
UPDATE users
SET
  username = CASE WHEN ?4 THEN ?5 ELSE username END,
  username_key = CASE WHEN ?4 THEN ?6 ELSE username_key END,
  name = CASE WHEN json_type(?7, '$.name') IS NULL THEN name ELSE ?7 ->> '$.name' END,
  given_name = CASE WHEN json_type(?7, '$.given_name') IS NULL THEN given_name ELSE ?7 ->> '$.given_name' END,
  family_name = CASE WHEN json_type(?7, '$.family_name') IS NULL THEN family_name ELSE ?7 ->> '$.family_name' END,
  metadata = CASE WHEN json_type(?7, '$.metadata') IS NULL THEN metadata ELSE ?7 ->> '$.metadata' END
WHERE id = ?1
  AND EXISTS (
    SELECT 1
    FROM audit_events
    WHERE user_id = ?1 AND at = ?2 - ?2 % 3600 AND audit_events.id = 'profile_changed' AND detail = ?3
  )
