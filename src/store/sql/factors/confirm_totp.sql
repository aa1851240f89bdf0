-- ?1 user_id, ?2 at, ?3 event_id, ?4 id, ?5 step of the code, ?6 request_id.
-- The code that confirms it is used up.
-- Cost: 1 event and 1 row read, 3 rows written (the row and its index entries).
UPDATE totp_secrets
SET confirmed_at = ?2, last_step = ?5, used_by = ?6
WHERE id = ?4
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
