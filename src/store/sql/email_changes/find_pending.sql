-- ?1 user_id, ?2 time before which changes are refused.
-- Cost: at most 1 row and its user read, nothing written.
SELECT c.new_email AS email, c.takes_effect_at
FROM email_changes AS c
JOIN users AS u ON u.id = c.user_id AND u.credentials_version = c.credentials_version
WHERE c.user_id = ?1 AND c.requested_at >= ?2
