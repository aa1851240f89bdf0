-- ?1 user_id, ?2 time before which changes are refused.
-- Cost: 1 row and its user read, nothing written.
SELECT
  c.user_id, u.email, u.email_key, c.new_email, c.new_email_key, c.credentials_version, c.salt, c.requested_at, c.takes_effect_at,
  c.next_notice_at
FROM email_changes AS c
JOIN users AS u ON u.id = c.user_id
WHERE c.user_id = ?1 AND c.requested_at >= ?2
