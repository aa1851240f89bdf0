-- ?1 id of the challenge, ?2 request_id, ?3 now, ?4 id of the event, ?5 kind, ?6 ip, ?7 user_agent, ?8 detail, ?9 whether the
-- address must not be verified yet.
-- Cost: 1 row and its user read, 2 rows written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, ip, user_agent, detail)
SELECT user_id, ?3, ?4, ?5, 1, ?3, ?6, ?7, ?8
FROM challenges
WHERE id = ?1
  AND spent_by = ?2
  AND (?9 = 0 OR EXISTS (SELECT 1 FROM users AS u WHERE u.id = challenges.user_id AND u.email_verified_at IS NULL))
RETURNING id
