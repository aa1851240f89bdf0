-- ?1 beginning of the texts under the first data secret, ?2 maximum number of rows.
-- Cost: the rows found, read by index, nothing written.
SELECT id, secret
FROM totp_secrets
WHERE substr(secret, 1, 10) < ?1 OR substr(secret, 1, 10) > ?1
LIMIT ?2
