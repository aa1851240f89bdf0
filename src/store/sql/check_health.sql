SELECT
  EXISTS (SELECT 1 FROM users WHERE id = '') AS users,
  EXISTS (SELECT 1 FROM refresh_tokens WHERE family_id = '') AS refresh_tokens
