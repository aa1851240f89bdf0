-- ?1 challenges that expired before this time are deleted, ?2 rows per step.
-- Cost: at most the rows of a step read by index, 3 rows written for each.
DELETE FROM challenges
WHERE id IN (SELECT id FROM challenges WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)
