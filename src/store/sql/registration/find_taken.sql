-- ?1 email_key, ?2 username_key.
-- Cost: 3 lookups by index, nothing written.
SELECT
  EXISTS (SELECT 1 FROM users WHERE email_key = ?1) AS email_taken,
  EXISTS (SELECT 1 FROM users WHERE username_key = ?2) AS username_taken,
  (SELECT secret FROM slot_key WHERE id = 1) AS slot_key
