UPDATE refresh_tokens
SET revoked_at = ?4, revoked_reason = 'reuse', revoked_ip = ?7, revoked_user_agent = ?8
WHERE family_id = ?1
  AND secret_hash = ?2
  AND (?10 IS NULL OR user_id = ?10)
  AND revoked_at IS NULL
  AND generation > ?3
  AND (generation > ?3 + 1 OR rotated_at <= ?4 - ?5)
RETURNING family_id
