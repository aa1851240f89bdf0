-- ?1 user_id, ?2 at, ?3 event_id, ?4 code_hash.
-- Cost: 1 event and 1 code read, 1 row written.
DELETE FROM recovery_codes
WHERE user_id = ?1
  AND code_hash = ?4
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
RETURNING 1 AS used
