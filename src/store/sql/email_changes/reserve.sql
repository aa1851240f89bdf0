-- ?1 user_id, ?2 at, ?3 event_id, ?4 expires_at, ?5 whether the user has proved to have the former mailbox with this change.
-- An address that nobody has proved to have stays free: otherwise anybody could register that of somebody else and keep it reserved.
-- Cost: 1 event and 1 user read, 3 rows written (the row and its index entries).
INSERT INTO reserved_emails (email_key, user_id, expires_at)
SELECT email_key, id, ?4
FROM users
WHERE id = ?1
  AND (?5 OR email_verified_at IS NOT NULL)
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
ON CONFLICT (email_key) DO UPDATE
SET user_id = excluded.user_id, expires_at = excluded.expires_at
