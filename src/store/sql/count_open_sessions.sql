SELECT count(*) AS sessions
FROM refresh_tokens
WHERE user_id = (SELECT ?1 FROM events WHERE events.user_id = ?1 AND events.at = ?2 AND events.id = ?3)
  AND is_ended = 0
  AND expires_at > ?2
