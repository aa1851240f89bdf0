-- ?1 start of the first hour, ?2 caller session_id, ?3 caller user_id, ?4 now.
-- Cost: the caller and the events since ?1 read by index, nothing written.
SELECT at - at % 3600 AS at, kind, SUM(count) AS events
FROM audit_events
WHERE at >= (SELECT ?1 FROM callers WHERE session_id = ?2 AND user_id = ?3 AND expires_at > ?4 AND is_admin)
  AND kind IN ('login_failed', 'login_throttled', 'reuse_detected', 'mail_sent', 'mail_failed')
GROUP BY audit_events.at - audit_events.at % 3600, kind
