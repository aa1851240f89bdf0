-- ?1 id, ?2 user_id, ?3 credentials_version, ?4 now, ?5 amr, ?6 transport, ?7 remember, ?8 key of the throttle of the name or NULL,
-- ?9 expires_at. Conditions, NULL if they do not apply: ?10 key of a throttle, ?11 id of the challenge that the request must have
-- spent, ?12 the request, ?13 passkey_id of a passkey that it must have used.
-- Cost: 1 user, 1 throttle, 1 challenge and 1 passkey read, 3 rows written (the row and its index entries).
INSERT INTO pending_sign_ins (
  id, user_id, credentials_version, amr, transport, remember, name_key, passkey_id, tries, created_at, expires_at
)
SELECT ?1, id, ?3, ?5, ?6, ?7, ?8, ?13, 0, ?4, ?9
FROM users
WHERE id = ?2
  AND credentials_version = ?3
  AND disabled_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM throttles AS t WHERE t.key = ?10 AND t.until > ?4)
  AND (?11 IS NULL OR EXISTS (SELECT 1 FROM challenges AS c WHERE c.id = ?11 AND c.spent_by = ?12))
  AND (?13 IS NULL OR EXISTS (SELECT 1 FROM passkeys AS p WHERE p.credential_id = ?13 AND p.used_by = ?12))
RETURNING id
