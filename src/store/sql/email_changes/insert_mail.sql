-- ?1 id, ?2 challenge_id, ?3 key of the new address, ?4 kind if the address is free, ?5 kind if it is not, ?6 locale, ?7 now, ?8 ip,
-- ?9 user_agent.
-- The mail to the new address. If it is taken or reserved, its owner gets a mail without a code.
-- Cost: 1 challenge and at most 3 lookups by index read, 2 rows written (the row and its index entry).
INSERT INTO outbox (id, kind, user_id, email, challenge_id, locale, at, ip, user_agent, attempts, claimed_until)
SELECT
  ?1,
  CASE WHEN c.new_email_key IS NULL THEN ?5 ELSE ?4 END,
  CASE WHEN c.new_email_key IS NULL THEN o.id ELSE c.user_id END,
  CASE WHEN c.new_email_key IS NOT NULL THEN c.new_email WHEN o.disabled_at IS NULL THEN o.email END,
  CASE WHEN c.new_email_key IS NOT NULL THEN c.id END,
  ?6, ?7, ?8, ?9, 0, ?7
FROM challenges AS c
LEFT JOIN users AS o ON o.id = COALESCE(
  (SELECT id FROM users WHERE email_key = ?3),
  (SELECT user_id FROM reserved_emails WHERE email_key = ?3)
)
WHERE c.id = ?2
