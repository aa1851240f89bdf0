-- ?1 session_id, ?2 time before which sessions are refused.
-- Cost: 1 session and its user read, nothing written.
SELECT s.session_id, s.transport, s.is_aal2, s.secret_hash, s.generation, s.rotated_at, s.expires_at, s.revoked_at,
  s.authenticated_at < ?2 AS is_too_early, u.user
FROM refresh_tokens AS s
JOIN user_objects AS u ON u.id = s.user_id
WHERE s.session_id = ?1
