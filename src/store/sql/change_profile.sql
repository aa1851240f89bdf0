UPDATE users
SET
  username = CASE WHEN ?4 THEN ?5 ELSE username END,
  username_key = CASE WHEN ?4 THEN ?6 ELSE username_key END,
  name = CASE WHEN ?7 THEN ?8 ELSE name END
WHERE id = ?1
  AND EXISTS (
    SELECT 1
    FROM events
    WHERE user_id = ?1 AND at = ?2 - ?2 % 3600 AND events.id = 'profile_changed' AND detail = ?3
  )
