SELECT
  EXISTS (SELECT 1 FROM users WHERE id = '') AS users,
  EXISTS (SELECT 1 FROM refresh_tokens WHERE family_id = '') AS refresh_tokens,
  EXISTS (SELECT 1 FROM owed_marks WHERE user_id = '') AS owed_marks,
  EXISTS (SELECT 1 FROM events WHERE user_id = '~') AS events,
  EXISTS (SELECT 1 FROM sweeps WHERE name = '') AS sweeps
