-- ?1 user_id, ?2 at, ?3 event_id.
-- Cost: 1 event and the codes of the user read by index, 1 row written for each.
DELETE FROM recovery_codes
WHERE user_id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
