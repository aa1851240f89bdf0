SELECT
  id, email, username, name, roles, created_at, disabled_at,
  EXISTS (
    SELECT 1
    FROM users AS other
    WHERE instr(other.roles, '"admin"') > 0 AND other.disabled_at IS NULL AND other.id <> ?1
  ) AS another_is_admin
FROM users
WHERE id = ?1
