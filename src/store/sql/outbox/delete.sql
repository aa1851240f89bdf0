-- ?1 id.
-- Cost: 1 row read, 2 written (the row and its index entry).
DELETE FROM outbox
WHERE id = ?1
