-- ?1 user_id, ?2 at, ?3 event_id, ?4 expires_at.
-- Cost: 1 event and the passkeys of the user read by index, 2 rows written for each (the row and its index entry).
INSERT INTO deleted_passkeys (credential_id, expires_at)
SELECT credential_id, ?4
FROM passkeys
WHERE user_id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
ON CONFLICT (credential_id) DO UPDATE SET expires_at = excluded.expires_at
