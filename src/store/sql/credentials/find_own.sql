-- ?1 session_id, ?2 user_id, ?3 now.
-- Cost: 1 session and its user read, nothing written.
SELECT
  u.user, u.factors, u.password_hash, u.credentials_version, u.slot, callers.transport, callers.remember,
  (SELECT password_reset_at FROM users WHERE users.id = callers.user_id) AS password_reset_at
FROM callers
JOIN user_objects AS u ON u.id = callers.user_id
WHERE callers.session_id = ?1
  AND callers.user_id = ?2
  AND callers.expires_at > ?3
