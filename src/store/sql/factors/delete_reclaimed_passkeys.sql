-- ?1 user_id, ?2 at, ?3 event_id.
-- Deletes only if the address was not verified, because anybody could have registered it.
-- Cost: 1 event and 1 user read, and the rows of the user read by index, each written with its index entries.
DELETE FROM passkeys
WHERE user_id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
  AND EXISTS (SELECT 1 FROM users AS u WHERE u.id = ?1 AND u.email_verified_at IS NULL)
