-- ?1 session_id, ?2 secret_hash, ?3 generation, ?4 now, ?5 grace, ?6 idle lifetime, ?7 ip, ?8 user_agent,
-- ?9 access token lifetime, ?10 user_id or NULL for any, ?11 transport, ?12 idle lifetime of a session not remembered,
-- ?13 whether only a session with two factors is refreshed, ?14 time before which sessions are refused.
-- Cost: 1 session and its user read, 1 row written.
UPDATE refresh_tokens
SET
  generation = ?3 + 1,
  grace_retries = CASE WHEN generation = ?3 THEN 0 ELSE grace_retries + 1 END,
  rotated_at = CASE WHEN generation = ?3 THEN ?4 ELSE rotated_at END,
  rotated_ip = CASE WHEN generation = ?3 THEN ?7 ELSE rotated_ip END,
  rotated_user_agent = CASE WHEN generation = ?3 THEN ?8 ELSE rotated_user_agent END,
  expires_at = CASE WHEN generation = ?3 THEN MIN(?4 + IIF(remember, ?6, ?12), absolute_expires_at) ELSE expires_at END,
  access_expires_at = MAX(access_expires_at, MIN(?4 + ?9, absolute_expires_at))
WHERE session_id = ?1
  AND secret_hash = ?2
  AND (?10 IS NULL OR user_id = ?10)
  AND transport = ?11
  AND (?13 = 0 OR is_aal2 = 1)
  AND revoked_at IS NULL
  AND authenticated_at >= ?14
  AND expires_at > ?4
  AND (generation = ?3 OR (generation = ?3 + 1 AND rotated_at > ?4 - ?5))
  AND EXISTS (SELECT 1 FROM users WHERE users.id = refresh_tokens.user_id AND users.disabled_at IS NULL)
RETURNING
  grace_retries, expires_at, remember, amr, authenticated_at, rotated_ip, rotated_user_agent,
  (SELECT user FROM user_objects WHERE user_objects.id = refresh_tokens.user_id) AS user
