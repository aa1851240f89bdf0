-- ?1 user_id.
-- Cost: 1 row read by index, nothing written.
SELECT id, secret, last_step
FROM totp_secrets
WHERE user_id = ?1 AND is_confirmed = 1
