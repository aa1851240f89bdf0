-- ?1 key, ?2 now, ?3 number of failures after which the first wait begins, ?4 first wait, ?5 longest wait,
-- ?6 seconds without a failure after which the next wait is half as long, ?7 failures in a row from which on every wait is ?9,
-- ?8 request_id. There are no more steps than the longest wait needs, because more would take longer to forget.
-- Cost: at most 1 row read, 1 row written, plus an index entry for a device or a user.
INSERT INTO throttles (key, steps, failures, last_at, until, request_id)
SELECT ?1, steps, 1, ?2, CASE WHEN steps < ?3 THEN 0 ELSE ?2 + MIN(?5, ?4 << MIN(9, steps - ?3)) END, ?8
FROM (
  SELECT
    MIN(
      COALESCE((SELECT MAX(0, steps - CAST(MAX(0, ?2 - last_at) / ?6 AS INTEGER)) FROM throttles WHERE key = ?1), 0) + 1,
      ?3 + 9
    ) AS steps
)
WHERE TRUE
ON CONFLICT (key) DO UPDATE
SET
  steps = excluded.steps,
  failures = failures + 1,
  last_at = excluded.last_at,
  until = CASE WHEN failures + 1 >= ?7 THEN ?2 + ?9 ELSE excluded.until END,
  request_id = excluded.request_id
WHERE until <= ?2
RETURNING 1 AS counted
