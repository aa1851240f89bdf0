-- ?1 now, ?2 limit.
-- Cost: at most the limit of rows and their users read by index, nothing written.
SELECT
  c.user_id, u.email, u.email_key, c.new_email, c.new_email_key, c.credentials_version, c.salt, c.requested_at, c.takes_effect_at,
  c.next_notice_at
FROM email_changes AS c
JOIN users AS u ON u.id = c.user_id
WHERE c.next_notice_at <= ?1
ORDER BY c.next_notice_at
LIMIT ?2
