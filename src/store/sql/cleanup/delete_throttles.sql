-- ?1 failures before this time are deleted, ?2 rows per step, ?3 now. A wait that
-- goes on is kept.
-- Cost: at most the rows of a step read by index, 2 rows written for each.
DELETE FROM throttles
WHERE key IN (
  SELECT key
  FROM throttles
  WHERE (key < 'name:' OR key > 'name:~') AND last_at < ?1 AND until < ?3
  ORDER BY last_at
  LIMIT ?2
)
