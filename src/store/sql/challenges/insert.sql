-- ?1 id, ?2 purpose, ?3 user_id, ?4 email_key, ?5 new_email, ?6 new_email_key, ?7 credentials_version, ?8 roles, ?9 salt, ?10 source,
-- ?11 now, ?12 expires_at, ?13 ip, ?14 user_agent, ?15 locale, ?16 maximum of live rows of an address, ?17 of an address and a source,
-- ?18 request_id, ?19 key of the last budget or NULL.
-- Without a key of a new address that is free, no code of a change is right.
-- Cost: the live rows of the address, 1 budget and, for a change, 2 lookups by index read, 3 rows written (the row and its index entries).
INSERT INTO challenges (
  id, purpose, user_id, email_key, new_email, new_email_key, credentials_version, roles, salt, source,
  tries, created_at, expires_at, ip, user_agent, locale
)
SELECT
  ?1, ?2, ?3, ?4, ?5,
  CASE
    WHEN NOT EXISTS (SELECT 1 FROM users AS o WHERE o.email_key = ?6)
      AND NOT EXISTS (
        SELECT 1 FROM reserved_emails AS r WHERE r.email_key = ?6 AND r.user_id <> ?3 AND r.expires_at > ?11
      )
    THEN ?6
  END,
  ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13, ?14, ?15
WHERE (?19 IS NULL OR EXISTS (SELECT 1 FROM mail_budgets AS b WHERE b.key = ?19 AND b.request_id = ?18))
  AND (
    SELECT count(*) < ?16 AND count(*) FILTER (WHERE live.source = ?10) < ?17
    FROM challenges AS live
    WHERE live.email_key = ?4 AND live.expires_at > ?11 AND live.spent_by IS NULL
  )
RETURNING id
