SELECT at, id, kind, count, last_at, actor_id, session_id, ip, user_agent, other_ip, other_user_agent, detail
FROM events
WHERE user_id = ?1
  AND at >= ?2
  AND (at, id) < (?3, ?4)
ORDER BY at DESC, id DESC
LIMIT ?5
