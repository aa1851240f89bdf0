SELECT
  id, email, username, name, roles, created_at, disabled_at,
  EXISTS (SELECT 1 FROM admins WHERE admins.id <> ?1) AS another_is_admin
FROM users
WHERE id = ?1
