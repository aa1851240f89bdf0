-- ?1 id, ?2 kind, ?3 user_id, ?4 at, ?5 event_id, ?6 locale, ?7 ip, ?8 user_agent, ?9 detail.
-- Cost: 1 event and 1 user read, 2 rows written (the row and its index entry).
INSERT INTO outbox (id, kind, user_id, email, challenge_id, locale, at, ip, user_agent, detail, attempts, claimed_until)
SELECT ?1, ?2, u.id, u.email, NULL, ?6, ?4, ?7, ?8, ?9, 0, ?4
FROM users AS u
WHERE u.id = ?3
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?3 AND e.at = ?4 AND e.id = ?5)
