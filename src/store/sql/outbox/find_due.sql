-- ?1 now, ?2 limit.
-- Cost: at most the limit read by index, nothing written.
SELECT id
FROM outbox
WHERE claimed_until <= ?1
ORDER BY claimed_until
LIMIT ?2
