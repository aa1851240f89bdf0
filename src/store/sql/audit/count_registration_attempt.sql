-- ?1 email_key, ?2 now, ?3 ip, ?4 user_agent.
-- Cost: 1 row written, plus an index entry for the first attempt of an hour.
INSERT INTO audit_events (
  user_id, at, id, kind, count, last_at, ip, user_agent, other_ip, other_user_agent
)
SELECT id, ?2 - ?2 % 3600, 'registration_attempted', 'registration_attempted', 1, ?2, ?3, ?4, ?3, ?4
FROM users
WHERE email_key = ?1
ON CONFLICT (user_id, at, id) DO UPDATE
SET count = count + 1, last_at = excluded.last_at, ip = excluded.ip, user_agent = excluded.user_agent
