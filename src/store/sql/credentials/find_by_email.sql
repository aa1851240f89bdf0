-- ?1 email_key.
-- Cost: 1 user read by index, nothing written.
SELECT user, password_hash, credentials_version, slot
FROM user_objects
WHERE email_key = ?1
