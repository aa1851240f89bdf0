UPDATE refresh_tokens
SET revoked_at = ?3, revoked_reason = ?4, revoked_ip = ?5, revoked_user_agent = ?6
WHERE user_id = (SELECT ?1 FROM callers WHERE family_id = ?2 AND user_id = ?1 AND expires_at > ?3)
  AND is_ended = 0
  AND (expires_at > ?3 OR access_expires_at > ?3 - ?8)
  AND (?7 IS NULL OR family_id <> ?7)
RETURNING 1 AS ended
