-- ?1 reservations that ended before this time are deleted, ?2 rows per step.
-- Cost: at most the rows of a step read by index, 3 rows written for each.
DELETE FROM reserved_emails
WHERE email_key IN (SELECT email_key FROM reserved_emails WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)
