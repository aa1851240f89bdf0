UPDATE users
SET roles = ?4
WHERE id = ?1
  AND EXISTS (SELECT 1 FROM events WHERE events.user_id = ?1 AND events.at = ?2 AND events.id = ?3)
