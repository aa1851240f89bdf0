-- ?1 username_key.
-- Cost: 1 user read by index, nothing written.
SELECT user, password_hash, credentials_version, slot
FROM user_objects
WHERE username_key = ?1
