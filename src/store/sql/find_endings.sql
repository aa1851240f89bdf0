SELECT revoked_at, family_id, revoked_ip, revoked_user_agent, revoked_reason
FROM refresh_tokens
WHERE family_id IN (
    SELECT family_id
    FROM refresh_tokens
    WHERE user_id = (
        SELECT ?1 FROM callers WHERE family_id = ?6 AND user_id = ?7 AND expires_at > ?8 AND (user_id = ?1 OR is_admin)
      )
      AND is_ended = 1
      AND created_at <= ?3
    ORDER BY created_at DESC
    LIMIT 1000
  )
  AND revoked_at >= ?2
  AND (revoked_at, '~' || family_id) < (?3, ?4)
ORDER BY revoked_at DESC, family_id DESC
LIMIT ?5
