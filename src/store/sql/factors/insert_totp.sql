-- ?1 id, ?2 user_id, ?3 encrypted secret, ?4 now, ?5 credentials_version, ?6 session_id of the caller or NULL, ?7 sign-in that needs a
-- factor or NULL.
-- Replaces a secret that was not confirmed. The one that is a factor stays valid until the new one is confirmed.
-- Cost: 1 user and 1 caller or sign-in read, 3 rows written (the row and its index entries), 5 if it replaces one.
INSERT INTO totp_secrets (id, user_id, secret, created_at, confirmed_at, tries, last_step)
SELECT ?1, id, ?3, ?4, NULL, 0, 0
FROM users
WHERE id = ?2
  AND credentials_version = ?5
  AND disabled_at IS NULL
  AND (?6 IS NULL OR EXISTS (SELECT 1 FROM callers WHERE callers.session_id = ?6 AND callers.user_id = ?2 AND callers.expires_at > ?4))
  AND (?7 IS NULL OR EXISTS (SELECT 1 FROM pending_sign_ins AS s WHERE s.id = ?7 AND s.spent_by IS NULL AND s.expires_at > ?4))
ON CONFLICT (user_id, is_confirmed) DO UPDATE
SET id = excluded.id, secret = excluded.secret, created_at = excluded.created_at, tries = 0
RETURNING id
