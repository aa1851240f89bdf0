-- ?1 user_id, ?2 now, ?3 detail of the event of the profile change, ?4 key.
-- Cost: 1 event read, at most 1 row written.
DELETE FROM throttles
WHERE key = ?4
  AND EXISTS (
    SELECT 1
    FROM audit_events
    WHERE user_id = ?1 AND at = ?2 - ?2 % 3600 AND audit_events.id = 'profile_changed' AND detail = ?3
  )
