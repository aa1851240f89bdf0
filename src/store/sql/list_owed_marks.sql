SELECT user_id, session_id, access_expires_at
FROM owed_marks
WHERE (user_id, session_id) > (?1, ?2)
ORDER BY user_id, session_id
LIMIT ?3
