-- ?1 user_id, ?2 session_id of the session that the sign-in began.
-- Cost: 1 session read, 1 row written.
UPDATE users
SET factors_reset_at = NULL
WHERE id = ?1 AND EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = ?2)
