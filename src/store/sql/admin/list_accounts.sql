-- ?1 start of the range of email_key, ?2 its end, ?3 last email_key of the previous page, ?4 limit, ?5 caller session_id,
-- ?6 caller user_id, ?7 now.
-- Cost: the caller and at most ?4 users read by index, nothing written.
SELECT email_key, user
FROM user_objects
WHERE email_key >= (SELECT ?1 FROM callers WHERE session_id = ?5 AND user_id = ?6 AND expires_at > ?7 AND is_admin)
  AND email_key < ?2
  AND email_key <> ?3
ORDER BY email_key
LIMIT ?4
