-- ?1 id, ?2 request_id, ?3 now, ?4 caller session_id, ?5 caller user_id,
-- ?6 time before which challenges are refused.
-- Spends the challenge of a change of address, if the session of the caller is in force, the account is as it was and the new address is free.
-- Cost: 1 row, the session, its user and 2 lookups by index read, 1 row written.
UPDATE challenges
SET spent_by = ?2
WHERE id = ?1
  AND user_id = ?5
  AND purpose = 'change'
  AND spent_by IS NULL
  AND expires_at > ?3
  AND created_at >= ?6
  AND EXISTS (
    SELECT 1
    FROM callers AS s
    JOIN users AS u ON u.id = s.user_id
    WHERE s.session_id = ?4
      AND s.user_id = ?5
      AND s.expires_at > ?3
      AND u.email_key = challenges.email_key
      AND u.credentials_version = challenges.credentials_version
  )
  AND NOT EXISTS (SELECT 1 FROM users AS o WHERE o.email_key = challenges.new_email_key)
  AND NOT EXISTS (
    SELECT 1
    FROM reserved_emails AS r
    WHERE r.email_key = challenges.new_email_key AND r.user_id <> ?5 AND r.expires_at > ?3
  )
RETURNING id
