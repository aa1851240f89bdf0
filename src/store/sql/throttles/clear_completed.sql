-- ?1 key, ?2 session_id of the session that the sign-in began.
-- Cost: 1 session read, at most 1 row written.
DELETE FROM throttles
WHERE key = ?1
  AND EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = ?2)
