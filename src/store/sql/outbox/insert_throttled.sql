-- ?1 id, ?2 kind, ?3 user_id or NULL, ?4 key of the throttle, ?5 request_id, ?6 now, ?7 locale, ?8 ip, ?9 user_agent, ?10 key of the budget.
-- A name without an account gets a row without a recipient, so that both are the same work.
-- Cost: 1 throttle, 1 budget and 1 user read, 2 rows written (the row and its index entry) if the failure began a wait.
INSERT INTO outbox (id, kind, user_id, email, locale, at, ip, user_agent, attempts, claimed_until)
SELECT ?1, ?2, u.id, CASE WHEN u.disabled_at IS NULL THEN u.email END, ?7, ?6, ?8, ?9, 0, ?6
FROM throttles AS t
LEFT JOIN users AS u ON u.id = ?3
WHERE t.key = ?4
  AND t.request_id = ?5
  AND t.until > ?6
  AND NOT EXISTS (SELECT 1 FROM mail_budgets AS b WHERE b.key = ?10 AND b.resets_at > ?6)
RETURNING id
