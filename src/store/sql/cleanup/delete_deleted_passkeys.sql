-- ?1 rows that expired before this time are deleted, ?2 rows per step.
-- Cost: at most the rows of a step read by index, 2 rows written for each.
DELETE FROM deleted_passkeys
WHERE credential_id IN (SELECT credential_id FROM deleted_passkeys WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)
