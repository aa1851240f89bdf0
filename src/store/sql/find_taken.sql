SELECT
  EXISTS (SELECT 1 FROM users WHERE email_key = ?1) AS email_taken,
  EXISTS (SELECT 1 FROM users WHERE username_key = ?2) AS username_taken
