-- ?1 user_id, ?2 now, ?3 id of the event, ?4 detail, ?5 ip, ?6 user_agent, ?7 credentials_version. Conditions, each NULL if it does not
-- apply: ?8 session_id of the caller, which must be in force, ?9 sign-in that ?10 the request must have spent, ?11 TOTP secret that must
-- not be confirmed.
-- Cost: 1 user and 1 row of each condition read, 2 rows written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, session_id, ip, user_agent, detail)
SELECT id, ?2, ?3, 'factor_added', 1, ?2, ?8, ?5, ?6, ?4
FROM users
WHERE id = ?1
  AND credentials_version = ?7
  AND disabled_at IS NULL
  AND (?8 IS NULL OR EXISTS (SELECT 1 FROM callers WHERE callers.session_id = ?8 AND callers.user_id = ?1 AND callers.expires_at > ?2))
  AND (?9 IS NULL OR EXISTS (SELECT 1 FROM pending_sign_ins AS s WHERE s.id = ?9 AND s.spent_by = ?10))
  AND (?11 IS NULL OR EXISTS (SELECT 1 FROM totp_secrets AS t WHERE t.id = ?11 AND t.user_id = ?1 AND t.is_confirmed = 0))
RETURNING id
