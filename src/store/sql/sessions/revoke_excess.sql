-- ?1 session_id of the new session, ?2 user_id, ?3 now, ?4 maximum number of sessions, ?5 ip, ?6 user_agent.
-- Cost: the open sessions of the user read by index, 3 rows written for each revoked session.
-- Revokes none if the new session has not begun.
UPDATE refresh_tokens
SET
  revoked_at = MIN(?3, expires_at),
  revoked_reason = CASE WHEN expires_at <= ?3 THEN 'expired' ELSE 'evicted' END,
  revoked_ip = CASE WHEN expires_at > ?3 THEN ?5 END,
  revoked_user_agent = CASE WHEN expires_at > ?3 THEN ?6 END
WHERE session_id IN (
  SELECT session_id
  FROM refresh_tokens
  WHERE user_id = ?2 AND is_ended = 0 AND session_id <> ?1
  ORDER BY expires_at > ?3, generation > 0, rotated_at
  LIMIT MIN(200, MAX(0, COALESCE((
    SELECT count(*) - ?4 FROM refresh_tokens WHERE user_id = ?2 AND is_ended = 0 HAVING max(session_id = ?1)
  ), 0)))
)
RETURNING session_id, user_id, access_expires_at, revoked_reason = 'evicted' AS is_evicted
