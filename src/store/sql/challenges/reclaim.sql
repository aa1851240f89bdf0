-- ?1 user_id, ?2 at, ?3 event_id, ?4 password_hash or NULL, ?5 whether the user has proved to have the mailbox.
-- The first proof of the mailbox deletes what the account had before, because anybody could have registered the address.
-- Cost: 1 event read, 1 row written.
UPDATE users
SET
  password_hash = ?4,
  password_reset_at = CASE WHEN ?4 IS NULL THEN password_reset_at ELSE ?2 END,
  credentials_version = credentials_version + 1,
  metadata = CASE WHEN ?5 AND email_verified_at IS NULL THEN NULL ELSE metadata END,
  email_verified_at = COALESCE(email_verified_at, CASE WHEN ?5 THEN ?2 END)
WHERE id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
