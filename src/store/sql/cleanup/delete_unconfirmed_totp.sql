-- ?1 secrets that were made before this time and never confirmed are deleted, ?2 rows per step.
-- Cost: at most the rows of a step read by index, 4 rows written for each.
DELETE FROM totp_secrets
WHERE id IN (
  SELECT id FROM totp_secrets WHERE confirmed_at IS NULL AND created_at < ?1 ORDER BY created_at LIMIT ?2
)
