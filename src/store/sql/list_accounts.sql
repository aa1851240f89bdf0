SELECT id, email, email_key, username, name, roles, created_at, disabled_at
FROM users
WHERE email_key >= (SELECT ?1 FROM callers WHERE family_id = ?5 AND user_id = ?6 AND expires_at > ?7 AND is_admin)
  AND email_key < ?2
  AND email_key <> ?3
ORDER BY email_key
LIMIT ?4
