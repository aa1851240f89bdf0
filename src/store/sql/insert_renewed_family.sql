INSERT INTO refresh_tokens (
  family_id, user_id, secret_hash, generation, grace_retries,
  created_at, created_ip, created_user_agent, rotated_at, rotated_ip, rotated_user_agent,
  expires_at, absolute_expires_at, access_expires_at
)
SELECT ?1, id, ?4, 0, 0, ?5, ?6, ?7, ?5, ?6, ?7, ?8, ?9, ?10
FROM users
WHERE id = ?2
  AND password_version = ?3
  AND disabled_at IS NULL
  AND EXISTS (SELECT 1 FROM events WHERE events.user_id = ?2 AND events.at = ?5 AND events.id = ?11)
RETURNING family_id
