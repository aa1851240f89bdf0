-- ?1 id, ?2 time of the next attempt, ?3 number of attempts so far.
-- Cost: 1 row read, 2 written (the row and its index entry).
UPDATE outbox
SET claimed_until = ?2
WHERE id = ?1 AND attempts = ?3
