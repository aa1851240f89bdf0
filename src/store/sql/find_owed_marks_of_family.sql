SELECT user_id, session_id, access_expires_at
FROM owed_marks
WHERE user_id = (SELECT user_id FROM refresh_tokens WHERE family_id = ?1 AND (?2 IS NULL OR secret_hash = ?2))
LIMIT 900
