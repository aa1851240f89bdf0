-- ?1 user_id, ?2 now, ?3 created_at of the last session shown, ?4 its session_id, ?5 limit, ?6 caller session_id,
-- ?7 caller user_id, ?8 time before which sessions are refused.
-- Cost: the caller and at most the open sessions of the user read by index, nothing written.
SELECT
  session_id, created_at, created_ip, created_user_agent, rotated_at, rotated_ip, rotated_user_agent,
  expires_at, absolute_expires_at
FROM refresh_tokens
WHERE user_id = (
    SELECT ?1 FROM callers WHERE session_id = ?6 AND user_id = ?7 AND expires_at > ?2 AND (user_id = ?1 OR is_admin)
  )
  AND is_ended = 0
  AND created_at <= ?3
  AND (created_at, session_id) < (?3, ?4)
  AND expires_at > ?2
  AND authenticated_at >= ?8
ORDER BY created_at DESC, session_id DESC
LIMIT ?5
