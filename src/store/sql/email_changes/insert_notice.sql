-- ?1 id, ?2 kind, ?3 user_id, ?4 salt, ?5 time at which the notice is due, ?6 locale, ?7 now, ?8 detail.
-- Cost: 1 row and its user read, 2 rows written (the row and its index entry).
INSERT INTO outbox (id, kind, user_id, email, locale, at, detail, attempts, claimed_until)
SELECT ?1, ?2, u.id, u.email, ?6, ?7, ?8, 0, ?7
FROM email_changes AS c
JOIN users AS u ON u.id = c.user_id AND u.credentials_version = c.credentials_version AND u.disabled_at IS NULL
WHERE c.user_id = ?3 AND c.salt = ?4 AND c.next_notice_at = ?5
