-- ?1 user_id, ?2 at, ?3 event_id, ?4 passkey_id, ?5 ip, ?6 user_agent.
-- Cost: 1 event and the sessions that the passkey began read by index, 3 rows written for each that is open.
UPDATE refresh_tokens
SET revoked_at = ?2, revoked_reason = 'passkey_removed', revoked_ip = ?5, revoked_user_agent = ?6
WHERE passkey_id = ?4
  AND user_id = ?1
  AND is_ended = 0
  AND (expires_at > ?2 OR access_expires_at > ?2)
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
RETURNING 1 AS ended
