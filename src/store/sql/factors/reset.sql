-- ?1 user_id, ?2 at, ?3 event_id.
-- The next sign-in needs a code from a mail too.
-- Cost: 1 event read, 1 row written.
UPDATE users
SET factors_reset_at = ?2, credentials_version = credentials_version + 1
WHERE id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
