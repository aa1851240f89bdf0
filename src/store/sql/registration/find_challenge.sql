-- ?1 id of the challenge, ?2 now, ?3 time before which challenges are refused.
-- Cost: 1 challenge and its registration read, nothing written.
SELECT
  email_key, user_id, expires_at > ?2 AS is_live,
  (SELECT r.email FROM registrations AS r WHERE r.id = challenges.user_id AND r.expires_at > ?2) AS email
FROM challenges
WHERE id = ?1 AND purpose = 'register' AND created_at >= ?3
