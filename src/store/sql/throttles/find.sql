-- ?1 key, ?2 now.
-- Cost: at most 1 row read, nothing written.
SELECT until - ?2 AS seconds
FROM throttles
WHERE key = ?1 AND until > ?2
