-- ?1 id, ?2 kind, ?3 user_id, ?4 email or NULL, ?5 challenge_id, ?6 locale, ?7 now, ?8 ip, ?9 user_agent, ?10 detail,
-- ?11 request_id, ?12 key of the last budget or NULL, ?13 whether the mail has the code of the challenge.
-- Cost: 1 challenge and 1 budget read, 2 rows written (the row and its index entry).
INSERT INTO outbox (id, kind, user_id, email, challenge_id, locale, at, ip, user_agent, detail, attempts, claimed_until)
SELECT ?1, ?2, ?3, ?4, CASE WHEN ?13 THEN id END, ?6, ?7, ?8, ?9, ?10, 0, ?7
FROM challenges
WHERE id = ?5
  AND spent_by IS NULL
  AND expires_at > ?7
  AND (?12 IS NULL OR EXISTS (SELECT 1 FROM mail_budgets AS b WHERE b.key = ?12 AND b.request_id = ?11))
