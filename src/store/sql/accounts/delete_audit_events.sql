-- ?1 user_id, ?2 at, ?3 event_id.
-- Cost: the events of the user read, 1 row written for each.
DELETE FROM audit_events
WHERE user_id = (SELECT ?1 FROM audit_events AS kept WHERE kept.user_id = ?1 AND kept.at = ?2 AND kept.id = ?3)
  AND id <> ?3
