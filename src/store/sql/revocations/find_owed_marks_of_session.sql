-- ?1 session_id, ?2 secret_hash or NULL for any.
-- Cost: 1 session and at most 900 rows read by key, nothing written.
SELECT user_id, session_id, access_expires_at
FROM owed_marks
WHERE user_id = (SELECT user_id FROM refresh_tokens WHERE session_id = ?1 AND (?2 IS NULL OR secret_hash = ?2))
LIMIT 900
