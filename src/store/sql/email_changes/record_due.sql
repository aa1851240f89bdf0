-- ?1 user_id, ?2 now, ?3 id of the event, ?4 kind, ?5 salt, ?6 time before which changes are refused.
-- Records a change that is due, if the account is as it was and the new address is free.
-- Cost: 1 row, its user and 2 lookups by index read, 2 rows written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at)
SELECT c.user_id, ?2, ?3, ?4, 1, ?2
FROM email_changes AS c
JOIN users AS u ON u.id = c.user_id AND u.credentials_version = c.credentials_version AND u.disabled_at IS NULL
WHERE c.user_id = ?1
  AND c.salt = ?5
  AND c.takes_effect_at <= ?2
  AND c.requested_at >= ?6
  AND NOT EXISTS (SELECT 1 FROM users AS o WHERE o.email_key = c.new_email_key)
  AND NOT EXISTS (
    SELECT 1
    FROM reserved_emails AS r
    WHERE r.email_key = c.new_email_key AND r.user_id <> ?1 AND r.expires_at > ?2
  )
RETURNING id
