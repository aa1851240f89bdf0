-- ?1 email_key, ?2 number of registrations of the address that stay, ?3 challenge_id, ?4 ip. Those of the same client go first.
-- Cost: 1 challenge and the registrations of the address read by index, 1 row written for each deleted one.
DELETE FROM registrations
WHERE id IN (
    SELECT id FROM registrations WHERE email_key = ?1 ORDER BY created_ip IS ?4, expires_at DESC LIMIT -1 OFFSET ?2
  )
  AND EXISTS (SELECT 1 FROM challenges WHERE id = ?3)
