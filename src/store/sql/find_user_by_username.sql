SELECT id, email, username, name, password_hash, password_version, roles, created_at, disabled_at
FROM users
WHERE username_key = ?1
