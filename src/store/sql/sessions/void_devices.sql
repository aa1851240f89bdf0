-- ?1 user_id, ?2 caller session_id, ?3 now.
-- Cost: 1 session and its user read, 1 row written.
UPDATE users
SET credentials_version = credentials_version + 1
WHERE id = (SELECT user_id FROM callers WHERE session_id = ?2 AND user_id = ?1 AND expires_at > ?3)
