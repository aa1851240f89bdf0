-- ?1 id, ?2 step of the code, ?3 request_id.
-- Cost: 1 row read, 1 row written.
-- A code of the step of the last one, or of an earlier step, was used or may have been.
UPDATE totp_secrets
SET last_step = ?2, used_by = ?3
WHERE id = ?1 AND is_confirmed = 1 AND last_step < ?2
RETURNING id
