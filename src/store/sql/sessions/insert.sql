-- ?1 session_id, ?2 user_id, ?3 credentials_version, ?4 secret_hash, ?5 now, ?6 ip, ?7 user_agent, ?8 expires_at,
-- ?9 absolute_expires_at, ?10 access_expires_at, ?11 amr, ?12 authenticated_at, ?13 transport, ?14 remember, ?15 key of the
-- throttle or NULL, ?16 id of the challenge that must be spent or NULL, ?17 request that must have spent it.
-- Cost: 1 user, 1 throttle and 1 challenge read, 2 rows written (the session and its index entry).
INSERT INTO refresh_tokens (
  session_id, user_id, secret_hash, generation, grace_retries,
  created_at, created_ip, created_user_agent, rotated_at, rotated_ip, rotated_user_agent,
  expires_at, absolute_expires_at, access_expires_at, amr, authenticated_at, transport, remember
)
SELECT ?1, id, ?4, 0, 0, ?5, ?6, ?7, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14
FROM users
WHERE id = ?2
  AND credentials_version = ?3
  AND disabled_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM throttles AS t WHERE t.key = ?15 AND t.until > ?5)
  AND (?16 IS NULL OR EXISTS (SELECT 1 FROM challenges AS c WHERE c.id = ?16 AND c.spent_by = ?17))
RETURNING session_id
