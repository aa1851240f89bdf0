-- ?1 id, ?2 now, ?3 maximum number of tries, ?4 time before which sign-ins are refused.
-- Cost: 1 row read, 1 row written.
UPDATE pending_sign_ins
SET tries = tries + 1
WHERE id = ?1 AND spent_by IS NULL AND expires_at > ?2 AND tries < ?3 AND created_at >= ?4
RETURNING id
