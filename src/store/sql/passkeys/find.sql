-- ?1 credential_id.
-- Cost: 1 passkey and its user, its TOTP secret and its passkeys read by index, nothing written.
SELECT
  p.public_key, p.counter, p.is_backup_eligible, u.user, u.factors, u.password_hash, u.credentials_version, u.slot
FROM passkeys AS p
JOIN user_objects AS u ON u.id = p.user_id
WHERE p.credential_id = ?1
