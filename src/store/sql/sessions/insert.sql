-- ?1 session_id, ?2 user_id, ?3 credentials_version, ?4 secret_hash, ?5 now, ?6 ip, ?7 user_agent, ?8 expires_at,
-- ?9 absolute_expires_at, ?10 access_expires_at, ?11 amr, ?12 authenticated_at, ?13 transport, ?14 remember, ?15 passkey_id or NULL,
-- then that of ?25 the session that it renews, or NULL.
-- Conditions, each NULL if it does not apply: ?16 key of a throttle, ?17 the request, which must have spent ?18 a challenge, ?19 a
-- pending sign-in, ?20 a code of a TOTP secret, ?21 an answer of a passkey, ?22 id of an event that must exist, ?23 session of the
-- caller, which must be in force, ?24 key of a second throttle.
-- Cost: 1 user and 1 row of each condition read, 2 rows written (the session and its index entry), 1 more with a passkey.
INSERT INTO refresh_tokens (
  session_id, user_id, secret_hash, generation, grace_retries,
  created_at, created_ip, created_user_agent, rotated_at, rotated_ip, rotated_user_agent,
  expires_at, absolute_expires_at, access_expires_at, amr, authenticated_at, transport, remember, passkey_id
)
SELECT ?1, id, ?4, 0, 0, ?5, ?6, ?7, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, COALESCE(?15, CASE WHEN ?25 IS NOT NULL THEN (SELECT passkey_id FROM refresh_tokens WHERE session_id = ?25) END)
FROM users
WHERE id = ?2
  AND credentials_version = ?3
  AND disabled_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM throttles AS t WHERE t.key = ?16 AND t.until > ?5)
  AND (?18 IS NULL OR EXISTS (SELECT 1 FROM challenges AS c WHERE c.id = ?18 AND c.spent_by = ?17))
  AND (?19 IS NULL OR EXISTS (SELECT 1 FROM pending_sign_ins AS s WHERE s.id = ?19 AND s.spent_by = ?17))
  AND (?20 IS NULL OR EXISTS (SELECT 1 FROM totp_secrets AS s WHERE s.id = ?20 AND s.used_by = ?17))
  AND (?21 IS NULL OR EXISTS (SELECT 1 FROM passkeys AS p WHERE p.credential_id = ?21 AND p.used_by = ?17))
  AND (?22 IS NULL OR EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?2 AND e.at = ?5 AND e.id = ?22))
  AND (?23 IS NULL OR EXISTS (SELECT 1 FROM callers WHERE callers.session_id = ?23 AND callers.user_id = ?2 AND callers.expires_at > ?5))
  AND (?24 IS NULL OR NOT EXISTS (SELECT 1 FROM throttles AS t WHERE t.key = ?24 AND t.until > ?5))
RETURNING session_id
