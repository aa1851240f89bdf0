-- ?1 id, ?2 now, ?3 amr with the further proof, ?4 id of the challenge that the request must have spent, ?5 request_id,
-- ?6 time before which sign-ins are refused.
-- Cost: 1 row and 1 challenge read, 1 row written.
UPDATE pending_sign_ins
SET amr = ?3
WHERE id = ?1
  AND spent_by IS NULL
  AND expires_at > ?2
  AND created_at >= ?6
  AND EXISTS (SELECT 1 FROM challenges AS c WHERE c.id = ?4 AND c.spent_by = ?5)
RETURNING id
