-- ?1 user_id, ?2 at, ?3 event_id, ?4 email, ?5 email_key.
-- The slot stays: it is in the ids of all sessions of the user.
-- Cost: 1 event read, 2 rows written (the user and its index entry).
UPDATE users
SET email = ?4, email_key = ?5, email_verified_at = ?2, credentials_version = credentials_version + 1
WHERE id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
