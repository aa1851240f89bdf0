-- ?1 user_id, ?2 now, ?3 id of the event, ?4 code_hash, ?5 ip, ?6 user_agent, ?7 credentials_version, ?8 pending sign-in that ?9 the
-- request must have spent or NULL, ?10 session_id of the caller or NULL, ?11 challenge that the request must have spent or NULL,
-- ?12 key of a throttle or NULL.
-- Cost: 1 user, 1 code and 1 row of each condition read, 2 rows written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, session_id, ip, user_agent)
SELECT ?1, ?2, ?3, 'recovery_code_used', 1, ?2, ?10, ?5, ?6
FROM users
WHERE id = ?1
  AND credentials_version = ?7
  AND disabled_at IS NULL
  AND EXISTS (SELECT 1 FROM recovery_codes AS c WHERE c.user_id = ?1 AND c.code_hash = ?4)
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM pending_sign_ins AS s WHERE s.id = ?8 AND s.spent_by = ?9))
  AND (?10 IS NULL OR EXISTS (SELECT 1 FROM callers WHERE callers.session_id = ?10 AND callers.user_id = ?1 AND callers.expires_at > ?2))
  AND (?11 IS NULL OR EXISTS (SELECT 1 FROM challenges AS c WHERE c.id = ?11 AND c.spent_by = ?9))
  AND NOT EXISTS (SELECT 1 FROM throttles AS t WHERE t.key = ?12 AND t.until > ?2)
RETURNING id
