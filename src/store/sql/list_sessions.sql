SELECT
  family_id, created_at, created_ip, created_user_agent, rotated_at, rotated_ip, rotated_user_agent,
  expires_at, absolute_expires_at
FROM refresh_tokens
WHERE family_id IN (
    SELECT family_id
    FROM refresh_tokens
    WHERE user_id = (SELECT ?1 FROM callers WHERE family_id = ?3 AND user_id = ?1 AND expires_at > ?2)
    ORDER BY created_at DESC
    LIMIT 1000
  )
  AND revoked_at IS NULL
  AND expires_at > ?2
