-- ?1 key, ?2 now.
-- Cost: at most 1 row read, nothing written.
SELECT MAX(0, until - ?2) AS seconds, failures
FROM throttles
WHERE key = ?1
