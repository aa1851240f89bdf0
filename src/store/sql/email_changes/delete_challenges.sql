-- ?1 user_id, ?2 at, ?3 event_id.
-- Cost: 1 event, 1 user and the challenges of its address read by index, 1 row written for each.
DELETE FROM challenges
WHERE email_key = (SELECT email_key FROM users WHERE id = ?1)
  AND user_id = (SELECT ?1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
