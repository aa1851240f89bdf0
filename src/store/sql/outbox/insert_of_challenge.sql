-- ?1 id, ?2 kind, ?3 challenge_id.
-- The mail goes to the address that the account has in this transaction.
-- Cost: 1 challenge and its user read, 2 rows written (the row and its index entry).
INSERT INTO outbox (id, kind, user_id, email, challenge_id, locale, at, attempts, claimed_until)
SELECT ?1, ?2, u.id, u.email, c.id, c.locale, c.created_at, 0, c.created_at
FROM challenges AS c
JOIN users AS u ON u.id = c.user_id
WHERE c.id = ?3
