-- ?1 id, ?2 request_id, ?3 now, ?4 time before which sign-ins are refused.
-- Cost: 1 row and its user read, 1 row written.
UPDATE pending_sign_ins
SET spent_by = ?2
WHERE id = ?1
  AND spent_by IS NULL
  AND expires_at > ?3
  AND created_at >= ?4
  AND EXISTS (
    SELECT 1
    FROM users AS u
    WHERE u.id = pending_sign_ins.user_id
      AND u.credentials_version = pending_sign_ins.credentials_version
      AND u.disabled_at IS NULL
  )
RETURNING id
