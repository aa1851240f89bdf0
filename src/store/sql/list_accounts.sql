SELECT id, email, email_key, username, name, roles, created_at, disabled_at
FROM users
WHERE email_key >= ?1
  AND email_key < ?2
  AND email_key <> ?3
ORDER BY email_key
LIMIT ?4
