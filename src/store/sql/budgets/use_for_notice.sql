-- ?1 id of the notice, ?2 beginning of the key, ?3 rest of the key, or NULL for the user of the notice, ?4 now, ?5 window, ?6 request_id.
-- Uses up the budget of a notice that was inserted.
-- Cost: 1 notice and at most 1 budget read, 2 rows written (the row and its index entry).
INSERT INTO mail_budgets (key, used, last_at, resets_at, request_id)
SELECT ?2 || COALESCE(?3, user_id), 1, ?4, ?4 + ?5, ?6
FROM outbox
WHERE id = ?1
ON CONFLICT (key) DO UPDATE
SET used = 1, last_at = excluded.last_at, resets_at = excluded.resets_at, request_id = excluded.request_id
