-- ?1 id, ?2 kind, ?3 session_id, ?4 now, ?5 id of the event that must exist or NULL, ?6 locale, ?7 ip, ?8 user_agent, ?9 beginning of the
-- key of the budget, which ends with the user.
-- Cost: 1 session, its user, 1 budget and 1 event read, 2 rows written (the row and its index entry).
INSERT INTO outbox (id, kind, user_id, email, locale, at, ip, user_agent, attempts, claimed_until)
SELECT ?1, ?2, u.id, u.email, ?6, ?4, ?7, ?8, 0, ?4
FROM refresh_tokens AS s
JOIN users AS u ON u.id = s.user_id
WHERE s.session_id = ?3
  AND (?5 IS NULL OR EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = s.user_id AND e.at = ?4 AND e.id = ?5))
  AND NOT EXISTS (SELECT 1 FROM mail_budgets AS b WHERE b.key = ?9 || s.user_id AND b.resets_at > ?4)
RETURNING id
