-- ?1 user_id, ?2 at, ?3 event_id, ?4 credential_id, ?5 expires_at.
-- Keeps the id of a passkey that is removed, until every challenge of its registration has expired.
-- Cost: 1 event and 1 passkey read, 2 rows written (the row and its index entry).
INSERT INTO deleted_passkeys (credential_id, expires_at)
SELECT p.credential_id, ?5
FROM passkeys AS p
WHERE p.credential_id = ?4
  AND p.user_id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
ON CONFLICT (credential_id) DO UPDATE
SET expires_at = excluded.expires_at
