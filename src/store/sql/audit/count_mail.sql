-- ?1 user_id, ?2 now, ?3 kind of event, ?4 kind of mail, ?5 mail_id, which is still in the outbox.
-- Cost: 1 user and 1 mail read, 1 row written, plus an index entry for the first of an hour.
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, detail)
SELECT id, ?2 - ?2 % 3600, ?3 || '.' || ?4, ?3, 1, ?2, ?4
FROM users
WHERE id = ?1 AND EXISTS (SELECT 1 FROM outbox AS o WHERE o.id = ?5)
ON CONFLICT (user_id, at, id) DO UPDATE
SET count = count + 1, last_at = excluded.last_at
