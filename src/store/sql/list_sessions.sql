SELECT
  family_id, created_at, created_ip, created_user_agent, rotated_at, rotated_ip, rotated_user_agent,
  expires_at, absolute_expires_at
FROM refresh_tokens
WHERE user_id = ?1
  AND revoked_at IS NULL
  AND expires_at > ?2
