-- ?1 user_id, ?2 time from which on the secret must have been made, ?3 maximum number of tries.
-- Cost: 1 row and the recovery codes of the user read by index, 1 row written.
UPDATE totp_secrets
SET tries = tries + 1
WHERE user_id = ?1 AND is_confirmed = 0 AND created_at > ?2 AND tries < ?3
RETURNING id, secret, (SELECT count(*) FROM recovery_codes AS c WHERE c.user_id = ?1) AS codes
