SELECT user_id, session_id, access_expires_at
FROM owed_marks
WHERE user_id = ?1
LIMIT 900
