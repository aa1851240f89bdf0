UPDATE refresh_tokens
SET
  revoked_at = MIN(?3, expires_at),
  revoked_reason = CASE WHEN expires_at <= ?3 THEN 'expired' ELSE 'session_limit' END,
  revoked_ip = CASE WHEN expires_at > ?3 THEN ?5 END,
  revoked_user_agent = CASE WHEN expires_at > ?3 THEN ?6 END
WHERE family_id IN (
  SELECT family_id
  FROM refresh_tokens
  WHERE user_id = ?2 AND is_ended = 0 AND family_id <> ?1
  ORDER BY expires_at > ?3, generation > 0, rotated_at
  LIMIT MIN(200, MAX(0, (SELECT count(*) FROM refresh_tokens WHERE user_id = ?2 AND is_ended = 0) - ?4))
)
RETURNING family_id AS session_id, user_id, access_expires_at
