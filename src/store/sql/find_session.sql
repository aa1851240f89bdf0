SELECT
  f.family_id, f.user_id, f.secret_hash, f.generation, f.rotated_at, f.expires_at, f.revoked_at,
  u.email, u.username, u.name, u.roles, u.created_at, u.disabled_at
FROM refresh_tokens AS f
JOIN users AS u ON u.id = f.user_id
WHERE f.family_id = ?1
