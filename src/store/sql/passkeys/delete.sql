-- ?1 user_id, ?2 at, ?3 event_id, ?4 credential_id.
-- Cost: 1 event and 1 passkey read, 2 rows written (the row and its index entry).
DELETE FROM passkeys
WHERE credential_id = ?4
  AND user_id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
