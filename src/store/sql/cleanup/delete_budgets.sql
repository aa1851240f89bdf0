-- ?1 budgets whose window ended before this time are deleted, ?2 rows per step.
-- Cost: at most the rows of a step read by index, 2 rows written for each.
DELETE FROM mail_budgets
WHERE key IN (SELECT key FROM mail_budgets WHERE resets_at < ?1 ORDER BY resets_at LIMIT ?2)
