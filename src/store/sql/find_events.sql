SELECT at, id, kind, count, last_at, actor_id, session_id, ip, user_agent, other_ip, other_user_agent, detail
FROM events
WHERE user_id = (
    SELECT ?1 FROM callers WHERE family_id = ?6 AND user_id = ?7 AND expires_at > ?8 AND (user_id = ?1 OR is_admin)
  )
  AND at >= ?2 - 3600
  AND last_at >= ?2
  AND (at, id) < (?3, ?4)
ORDER BY at DESC, id DESC
LIMIT ?5
