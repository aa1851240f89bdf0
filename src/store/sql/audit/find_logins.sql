-- ?1 user_id, ?2 since, ?3 at of the last login shown, ?4 its id, ?5 limit, ?6 caller session_id, ?7 caller user_id,
-- ?8 now, ?9 is_ended.
-- Cost: the caller and at most the sessions of the user since ?2 read by index, nothing written.
SELECT created_at, session_id, created_ip, created_user_agent
FROM refresh_tokens
WHERE user_id = (
    SELECT ?1 FROM callers WHERE session_id = ?6 AND user_id = ?7 AND expires_at > ?8 AND (user_id = ?1 OR is_admin)
  )
  AND is_ended = ?9
  AND created_at >= ?2
  AND created_at <= ?3
  AND (created_at, '!' || session_id) < (?3, ?4)
ORDER BY created_at DESC, session_id DESC
LIMIT ?5
