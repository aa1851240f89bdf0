-- ?1 id, ?2 now, ?3 time before which challenges are refused.
-- Cost: 1 row and its user or registration read, nothing written.
SELECT
  id, purpose, user_id, email_key, new_email, new_email_key, credentials_version, salt, token_hash,
  created_at, expires_at, ip, user_agent, locale,
  (
    SELECT json_object(
      'user', u.user, 'factors', u.factors, 'email_key', u.email_key, 'credentials_version', u.credentials_version, 'slot', u.slot
    )
    FROM user_objects AS u
    WHERE u.id = challenges.user_id
  ) AS account,
  CASE purpose WHEN 'register' THEN (
    SELECT json_object('email', r.email, 'password_hash', r.password_hash)
    FROM registrations AS r
    WHERE r.id = challenges.user_id AND r.expires_at > ?2
  ) END AS registration
FROM challenges
WHERE id = ?1 AND spent_by IS NULL AND expires_at > ?2 AND created_at >= ?3
