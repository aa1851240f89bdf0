DELETE FROM events
WHERE (user_id, at, id) IN (
  SELECT user_id, at, id
  FROM events
  WHERE at < ?1 - 3600
  ORDER BY at
  LIMIT ?2
)
