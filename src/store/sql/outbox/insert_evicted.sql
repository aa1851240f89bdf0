-- ?1 id, ?2 kind, ?3 user_id, ?4 now, ?5 number of evicted sessions, ?6 number from which they are many, ?7 locale, ?8 ip, ?9 user_agent.
-- Cost: 1 event and 1 user read, 2 rows written (the row and its index entry) if they become many.
INSERT INTO outbox (id, kind, user_id, email, locale, at, ip, user_agent, attempts, claimed_until)
SELECT ?1, ?2, u.id, u.email, ?7, ?4, ?8, ?9, 0, ?4
FROM audit_events AS e
JOIN users AS u ON u.id = e.user_id
WHERE e.user_id = ?3
  AND e.at = ?4 - ?4 % 3600
  AND e.id = 'sessions_evicted'
  AND e.count >= ?6
  AND e.count - ?5 < ?6
RETURNING id
