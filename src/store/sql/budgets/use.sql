-- ?1 key, ?2 now, ?3 number of mails that go out at once, ?4 seconds between further ones, ?5 maximum of a window, ?6 window,
-- ?7 request_id, ?8 key of the budget that must have been used before, or NULL, ?9 user_id and ?10 id of the event that must exist, or
-- NULL.
-- Cost: at most 3 rows read, 1 row written, plus an index entry for a new window.
INSERT INTO mail_budgets (key, used, last_at, resets_at, request_id)
SELECT ?1, 1, ?2, ?2 + ?6, ?7
WHERE (?8 IS NULL OR EXISTS (SELECT 1 FROM mail_budgets AS b WHERE b.key = ?8 AND b.request_id = ?7))
  AND (?9 IS NULL OR EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?9 AND e.at = ?2 AND e.id = ?10))
ON CONFLICT (key) DO UPDATE
SET
  used = CASE WHEN resets_at <= ?2 THEN 1 ELSE used + 1 END,
  last_at = excluded.last_at,
  resets_at = CASE WHEN resets_at <= ?2 THEN excluded.resets_at ELSE resets_at END,
  request_id = excluded.request_id
WHERE resets_at <= ?2 OR used < ?3 OR (used < ?5 AND last_at <= ?2 - ?4)
RETURNING used
