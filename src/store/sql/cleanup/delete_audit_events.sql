-- ?1 events before this time are deleted, ?2 rows per step.
-- Cost: at most the rows of a step read by index, 1 row written for each.
DELETE FROM audit_events
WHERE (user_id, at, id) IN (
  SELECT user_id, at, id
  FROM audit_events
  WHERE at < ?1 - 3600
  ORDER BY at
  LIMIT ?2
)
