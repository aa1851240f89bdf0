-- ?1 id, ?2 request_id, ?3 now, ?4 time before which challenges are refused.
-- Cost: 1 row and its user read, 1 row written.
UPDATE challenges
SET spent_by = ?2
WHERE id = ?1
  AND spent_by IS NULL
  AND expires_at > ?3
  AND created_at >= ?4
  AND EXISTS (
    SELECT 1
    FROM users AS u
    WHERE u.id = challenges.user_id
      AND u.email_key = challenges.email_key
      AND u.credentials_version = challenges.credentials_version
      AND u.disabled_at IS NULL
  )
RETURNING id
