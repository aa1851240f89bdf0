UPDATE refresh_tokens
SET revoked_at = ?4, revoked_reason = ?5, revoked_ip = ?6, revoked_user_agent = ?7
WHERE family_id = ?1
  AND user_id = ?2
  AND revoked_at IS NULL
  AND expires_at > ?4
  AND EXISTS (SELECT 1 FROM callers WHERE family_id = ?3 AND user_id = ?2 AND expires_at > ?4)
RETURNING family_id
