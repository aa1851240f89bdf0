-- ?1 JSON array of ids, ?2 now, ?3 end of the lease.
-- Cost: 1 row, its user and its challenge or pending change read for each id, 2 rows written for each (the row and its index entry).
UPDATE outbox
SET attempts = attempts + 1, claimed_until = ?3
WHERE id IN (SELECT value FROM json_each(?1)) AND claimed_until <= ?2
RETURNING
  id, kind, user_id, email, locale, at, ip, user_agent, detail, attempts,
  challenge_id IS NOT NULL AS has_challenge,
  EXISTS (
    SELECT 1
    FROM users AS u
    WHERE u.id = outbox.user_id AND u.email = outbox.email AND u.email_verified_at IS NOT NULL
  ) AS is_proved,
  (
    SELECT COALESCE(u.name, u.given_name)
    FROM users AS u
    WHERE u.id = outbox.user_id AND u.email_verified_at IS NOT NULL
  ) AS name,
  (
    SELECT json_object(
      'id', c.id, 'purpose', c.purpose, 'user_id', c.user_id, 'email_key', c.email_key, 'new_email_key', c.new_email_key,
      'credentials_version', c.credentials_version, 'salt', c.salt, 'expires_at', c.expires_at,
      'is_spent', json(iif(c.spent_by IS NULL, 'false', 'true'))
    )
    FROM challenges AS c
    WHERE c.id = outbox.challenge_id
  ) AS challenge,
  (
    SELECT json_object(
      'user_id', c.user_id, 'email_key', u.email_key, 'credentials_version', c.credentials_version, 'salt', c.salt,
      'requested_at', c.requested_at
    )
    FROM email_changes AS c
    JOIN users AS u ON u.id = c.user_id AND u.credentials_version = c.credentials_version
    WHERE c.user_id = outbox.user_id AND outbox.challenge_id IS NULL
  ) AS change
