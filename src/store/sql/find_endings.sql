SELECT revoked_at, family_id, revoked_ip, revoked_user_agent, revoked_reason
FROM refresh_tokens
WHERE user_id = ?1
  AND revoked_at >= ?2
  AND (revoked_at, family_id || '-') < (?3, ?4)
ORDER BY revoked_at DESC, family_id DESC
LIMIT ?5
