SELECT created_at, family_id, created_ip, created_user_agent
FROM refresh_tokens
WHERE user_id = ?1
  AND created_at >= ?2
  AND (created_at, family_id || '+') < (?3, ?4)
ORDER BY created_at DESC, family_id DESC
LIMIT ?5
