UPDATE refresh_tokens
SET revoked_at = ?4, revoked_reason = ?5, revoked_ip = ?6, revoked_user_agent = ?7
WHERE family_id = ?1
  AND user_id = ?2
  AND revoked_at IS NULL
  AND expires_at > ?4
  AND EXISTS (
    SELECT 1
    FROM refresh_tokens AS caller
    JOIN users ON users.id = caller.user_id
    WHERE caller.family_id = ?3
      AND caller.user_id = ?2
      AND caller.revoked_at IS NULL
      AND caller.expires_at > ?4
      AND users.disabled_at IS NULL
  )
RETURNING family_id, access_expires_at
