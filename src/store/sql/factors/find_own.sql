-- ?1 user_id.
-- Cost: the factors of the user read by index, nothing written.
SELECT
  (SELECT confirmed_at FROM totp_secrets AS t WHERE t.user_id = ?1 AND t.is_confirmed = 1) AS totp_created_at,
  (SELECT count(*) FROM passkeys AS p WHERE p.user_id = ?1) AS passkeys,
  (SELECT count(*) FROM recovery_codes AS c WHERE c.user_id = ?1) AS recovery_codes
