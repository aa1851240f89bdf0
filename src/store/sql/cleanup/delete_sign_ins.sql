-- ?1 sign-ins that were over before this time are deleted, ?2 rows per step.
-- Cost: at most the rows of a step read by index, 3 rows written for each.
DELETE FROM pending_sign_ins
WHERE id IN (SELECT id FROM pending_sign_ins WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)
