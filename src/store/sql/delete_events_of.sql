DELETE FROM events
WHERE user_id = (SELECT ?1 FROM events AS kept WHERE kept.user_id = ?1 AND kept.at = ?2 AND kept.id = ?3)
  AND id <> ?3
