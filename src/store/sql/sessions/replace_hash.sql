-- ?1 user_id, ?2 old password_hash, ?3 new password_hash.
-- Cost: 1 row written.
UPDATE users
SET password_hash = ?3
WHERE id = ?1 AND password_hash = ?2
