-- ?1 caller session_id, ?2 caller user_id, ?3 now, ?4 ip, ?5 user_agent, ?6 detail, ?7 whether to set the username,
-- ?8 username, ?9 JSON object of the other columns to set, ?10 maximum changes per hour.
-- Cost: 1 session, its user and 1 event read, 1 row written, plus an index entry for the first change of an hour.
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, session_id, ip, user_agent, detail)
SELECT ?2, ?3 - ?3 % 3600, 'profile_changed', 'profile_changed', 1, ?3, ?1, ?4, ?5, ?6
FROM users
WHERE id = ?2
  AND EXISTS (SELECT 1 FROM callers WHERE session_id = ?1 AND user_id = ?2 AND expires_at > ?3)
  AND (
    (?7 AND username IS NOT ?8)
    OR (json_type(?9, '$.name') IS NOT NULL AND name IS NOT ?9 ->> '$.name')
    OR (json_type(?9, '$.given_name') IS NOT NULL AND given_name IS NOT ?9 ->> '$.given_name')
    OR (json_type(?9, '$.family_name') IS NOT NULL AND family_name IS NOT ?9 ->> '$.family_name')
    OR (json_type(?9, '$.metadata') IS NOT NULL AND metadata IS NOT ?9 ->> '$.metadata')
  )
  AND NOT EXISTS (
    SELECT 1 FROM audit_events WHERE user_id = ?2 AND at = ?3 - ?3 % 3600 AND id = 'profile_changed' AND count >= ?10
  )
ON CONFLICT (user_id, at, id) DO UPDATE
SET
  count = count + 1, last_at = excluded.last_at, session_id = excluded.session_id,
  ip = excluded.ip, user_agent = excluded.user_agent, detail = excluded.detail
RETURNING id
