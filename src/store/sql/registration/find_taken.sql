-- ?1 email_key, ?2 username_key, ?3 now.
-- Cost: 4 lookups by index, nothing written.
SELECT
  (SELECT json_object('user_id', id, 'email', CASE WHEN disabled_at IS NULL THEN email END) FROM users WHERE email_key = ?1) AS owner,
  EXISTS (SELECT 1 FROM reserved_emails WHERE email_key = ?1 AND expires_at > ?3) AS email_reserved,
  EXISTS (SELECT 1 FROM users WHERE username_key = ?2) AS username_taken,
  (SELECT secret FROM slot_key WHERE id = 1) AS slot_key
