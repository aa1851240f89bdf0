INSERT INTO events (user_id, at, id, kind, count, last_at, session_id, ip, user_agent)
SELECT user_id, ?3, ?4, ?5, 1, ?3, ?6, ?7, ?8
FROM callers
WHERE family_id = ?1
  AND user_id = ?2
  AND expires_at > ?3
  AND password_version = ?9
  AND (
    ?5 <> 'deleted'
    OR is_admin = 0
    OR EXISTS (SELECT 1 FROM admins WHERE admins.id <> ?2)
  )
RETURNING id
