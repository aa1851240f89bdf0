-- ?1 user_id.
-- Cost: at most 900 rows read by key, nothing written.
SELECT user_id, session_id, access_expires_at
FROM owed_marks
WHERE user_id = ?1
LIMIT 900
