-- ?1 user_id.
-- Cost: 1 user and 1 index entry of another admin read, nothing written.
SELECT user, EXISTS (SELECT 1 FROM admins WHERE admins.id <> ?1) AS another_is_admin
FROM user_objects
WHERE id = ?1
