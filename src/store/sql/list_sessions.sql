SELECT
  family_id, created_at, created_ip, created_user_agent, rotated_at, rotated_ip, rotated_user_agent,
  expires_at, absolute_expires_at
FROM refresh_tokens
WHERE user_id = (
    SELECT ?1 FROM callers WHERE family_id = ?6 AND user_id = ?7 AND expires_at > ?2 AND (user_id = ?1 OR is_admin)
  )
  AND is_ended = 0
  AND created_at <= ?3
  AND (created_at, family_id) < (?3, ?4)
  AND expires_at > ?2
ORDER BY created_at DESC, family_id DESC
LIMIT ?5
