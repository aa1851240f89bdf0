-- ?1 registrations that expired before this time are deleted, ?2 rows per step.
-- Cost: at most the rows of a step read by index, 1 row written for each.
DELETE FROM registrations
WHERE id IN (SELECT id FROM registrations WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)
