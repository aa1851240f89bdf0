UPDATE refresh_tokens
SET revoked_at = ?3, revoked_reason = ?4, revoked_ip = ?5, revoked_user_agent = ?6
WHERE family_id = ?1
  AND (?2 IS NULL OR secret_hash = ?2)
  AND revoked_at IS NULL
RETURNING user_id
