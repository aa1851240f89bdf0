-- ?1 user_id, ?2 since, ?3 at of the last revocation shown, ?4 its id, ?5 limit, ?6 caller session_id, ?7 caller user_id,
-- ?8 now.
-- Cost: the caller and at most 1000 ended sessions of the user read by index, nothing written.
SELECT revoked_at, session_id, revoked_ip, revoked_user_agent, revoked_reason
FROM refresh_tokens
WHERE session_id IN (
    SELECT session_id
    FROM refresh_tokens
    WHERE user_id = (
        SELECT ?1 FROM callers WHERE session_id = ?6 AND user_id = ?7 AND expires_at > ?8 AND (user_id = ?1 OR is_admin)
      )
      AND is_ended = 1
      AND created_at <= ?3
    ORDER BY created_at DESC
    LIMIT 1000
  )
  AND revoked_at >= ?2
  AND (revoked_at, '~' || session_id) < (?3, ?4)
ORDER BY revoked_at DESC, session_id DESC
LIMIT ?5
