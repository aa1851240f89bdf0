-- ?1 id of the challenge, ?2 request_id.
-- Cost: 1 challenge and the registrations of the address read by index, 1 row written for each.
DELETE FROM registrations
WHERE email_key = (SELECT c.email_key FROM challenges AS c WHERE c.id = ?1 AND c.spent_by = ?2)
