-- ?1 user_id of the last mark of the previous page, ?2 its session_id, ?3 limit.
-- Cost: at most ?3 rows read by key, nothing written.
SELECT user_id, session_id, access_expires_at
FROM owed_marks
WHERE (user_id, session_id) > (?1, ?2)
ORDER BY user_id, session_id
LIMIT ?3
