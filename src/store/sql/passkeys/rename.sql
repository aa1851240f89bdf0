-- ?1 caller session_id, ?2 caller user_id, ?3 now, ?4 credential_id, ?5 name.
-- Cost: 1 session, its user and 1 passkey read, 1 row written.
UPDATE passkeys
SET name = ?5
WHERE credential_id = ?4
  AND user_id = (SELECT user_id FROM callers WHERE session_id = ?1 AND user_id = ?2 AND expires_at > ?3)
RETURNING credential_id, name, transports, aaguid, is_backed_up, created_at, last_used_at
