-- ?1 user_id, ?2 caller session_id, ?3 now, ?4 reason, ?5 ip, ?6 user_agent, ?7 session_id to keep or NULL.
-- Cost: the caller and the open sessions of the user read by index, 3 rows written for each.
UPDATE refresh_tokens
SET revoked_at = ?3, revoked_reason = ?4, revoked_ip = ?5, revoked_user_agent = ?6
WHERE user_id = (SELECT ?1 FROM callers WHERE session_id = ?2 AND user_id = ?1 AND expires_at > ?3)
  AND is_ended = 0
  AND (expires_at > ?3 OR access_expires_at > ?3)
  AND (?7 IS NULL OR session_id <> ?7)
RETURNING 1 AS ended
