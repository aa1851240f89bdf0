-- ?1 user_id, ?2 at, ?3 event_id, ?4 reason, ?5 ip, ?6 user_agent, ?7 session_id to keep or NULL.
-- Cost: 1 event and the open sessions of the user read by index, 3 rows written for each.
UPDATE refresh_tokens
SET revoked_at = ?2, revoked_reason = ?4, revoked_ip = ?5, revoked_user_agent = ?6
WHERE user_id = (SELECT ?1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
  AND is_ended = 0
  AND (expires_at > ?2 OR access_expires_at > ?2)
  AND (?7 IS NULL OR session_id <> ?7)
RETURNING 1 AS ended
