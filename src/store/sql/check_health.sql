-- No parameters.
-- Cost: 6 lookups by key, nothing written.
SELECT
  EXISTS (SELECT 1 FROM slot_key WHERE id = 1) AS has_slot_key,
  EXISTS (SELECT 1 FROM users WHERE id = '') AS users,
  EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = '') AS refresh_tokens,
  EXISTS (SELECT 1 FROM owed_marks WHERE user_id = '') AS owed_marks,
  EXISTS (SELECT 1 FROM audit_events WHERE user_id = '~') AS audit_events,
  EXISTS (SELECT 1 FROM cleanup_progress WHERE name = '') AS cleanup_progress
