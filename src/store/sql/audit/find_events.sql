-- ?1 user_id, ?2 since, ?3 at of the last event shown, ?4 its id, ?5 limit, ?6 caller session_id, ?7 caller user_id,
-- ?8 now.
-- Cost: the caller and at most the events of the user since ?2 read by key, nothing written.
SELECT at, id, kind, count, last_at, actor_id, session_id, ip, user_agent, other_ip, other_user_agent, detail
FROM audit_events
WHERE user_id = (
    SELECT ?1 FROM callers WHERE session_id = ?6 AND user_id = ?7 AND expires_at > ?8 AND (user_id = ?1 OR is_admin)
  )
  AND at >= ?2 - 3600
  AND last_at >= ?2
  AND (at, id) < (?3, ?4)
ORDER BY at DESC, id DESC
LIMIT ?5
