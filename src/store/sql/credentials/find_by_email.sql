-- ?1 email_key.
-- Cost: 1 user, its TOTP secret and its passkeys read by index, nothing written.
SELECT user, factors, password_hash, credentials_version, slot
FROM user_objects
WHERE email_key = ?1
