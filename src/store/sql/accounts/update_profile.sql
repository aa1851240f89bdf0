-- ?1 user_id, ?2 now, ?3 detail of the event, ?4 whether to set the username, ?5 username, ?6 username_key,
-- ?7 whether to set the name, ?8 name.
-- Cost: 1 event read, 1 row written, and an index entry for each username that comes or goes.
UPDATE users
SET
  username = CASE WHEN ?4 THEN ?5 ELSE username END,
  username_key = CASE WHEN ?4 THEN ?6 ELSE username_key END,
  name = CASE WHEN ?7 THEN ?8 ELSE name END
WHERE id = ?1
  AND EXISTS (
    SELECT 1
    FROM audit_events
    WHERE user_id = ?1 AND at = ?2 - ?2 % 3600 AND audit_events.id = 'profile_changed' AND detail = ?3
  )
