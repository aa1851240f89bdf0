SELECT
  u.id, u.email, u.username, u.name, u.password_hash, u.password_version, u.roles, u.created_at, u.disabled_at
FROM callers
JOIN users AS u ON u.id = callers.user_id
WHERE callers.family_id = ?1
  AND callers.user_id = ?2
  AND callers.expires_at > ?3
