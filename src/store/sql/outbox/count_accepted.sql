-- ?1 mail_id, ?2 key of the budget, ?3 now, ?4 window, ?5 request_id.
-- Cost: 1 mail and 1 budget read, 1 row written, plus an index entry for a new window.
INSERT INTO mail_budgets (key, used, last_at, resets_at, request_id)
SELECT ?2, 1, ?3, ?3 + ?4, ?5
FROM outbox
WHERE id = ?1
ON CONFLICT (key) DO UPDATE
SET
  used = CASE WHEN resets_at <= ?3 THEN 1 ELSE used + 1 END,
  last_at = excluded.last_at,
  resets_at = CASE WHEN resets_at <= ?3 THEN excluded.resets_at ELSE resets_at END,
  request_id = excluded.request_id
RETURNING used
