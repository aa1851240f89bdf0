UPDATE refresh_tokens
SET revoked_at = ?2, revoked_reason = ?4, revoked_ip = ?5, revoked_user_agent = ?6
WHERE user_id = (SELECT ?1 FROM events WHERE events.user_id = ?1 AND events.at = ?2 AND events.id = ?3)
  AND is_ended = 0
  AND (expires_at > ?2 OR access_expires_at > ?2 - ?7)
RETURNING 1 AS ended
