-- ?1 id of the challenge, ?2 request_id.
-- Cost: 1 challenge and its registration read, 1 row written.
DELETE FROM registrations
WHERE id = (SELECT c.user_id FROM challenges AS c WHERE c.id = ?1 AND c.spent_by = ?2)
RETURNING id
