SELECT user_id, access_expires_at
FROM refresh_tokens
WHERE family_id = ?1 AND (?2 IS NULL OR secret_hash = ?2)
