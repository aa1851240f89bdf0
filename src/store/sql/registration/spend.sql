-- ?1 id of the challenge, ?2 request_id, ?3 now, ?4 time before which challenges are refused.
-- Cost: 1 challenge and its registration read, 1 row written.
UPDATE challenges
SET spent_by = ?2
WHERE id = ?1
  AND purpose = 'register'
  AND spent_by IS NULL
  AND expires_at > ?3
  AND created_at >= ?4
  AND EXISTS (SELECT 1 FROM registrations AS r WHERE r.id = challenges.user_id AND r.expires_at > ?3)
RETURNING id
