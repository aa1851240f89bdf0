-- ?1 key.
-- Cost: at most 1 row read, nothing written.
SELECT failures, last_at, until
FROM throttles
WHERE key = ?1
