UPDATE refresh_tokens
SET revoked_at = ?2, revoked_reason = ?4, revoked_ip = ?5, revoked_user_agent = ?6
WHERE user_id = (SELECT ?1 FROM events WHERE events.user_id = ?1 AND events.at = ?2 AND events.id = ?3)
  AND revoked_at IS NULL
  AND (expires_at > ?2 OR access_expires_at > ?2 - ?8)
  AND (?7 IS NULL OR family_id <> ?7)
RETURNING family_id, access_expires_at
