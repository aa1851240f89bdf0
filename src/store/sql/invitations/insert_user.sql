-- ?1 caller session_id, ?2 caller user_id, ?3 now, ?4 id, ?5 email, ?6 email_key, ?7 username, ?8 username_key, ?9 name, ?10 roles,
-- ?11 slot.
-- A reserved address is stored as NULL, which violates the schema, so that the transaction fails as for a taken address.
-- Cost: the caller and 1 reservation read, 2 rows written (the user and its index entry), 3 with a username.
INSERT INTO users (id, email, email_key, username, username_key, name, credentials_version, roles, created_at, slot)
SELECT
  ?4, ?5, CASE WHEN NOT EXISTS (SELECT 1 FROM reserved_emails AS e WHERE e.email_key = ?6 AND e.expires_at > ?3) THEN ?6 END,
  ?7, ?8, ?9, 0, ?10, ?3, ?11
FROM callers
WHERE session_id = ?1 AND user_id = ?2 AND expires_at > ?3 AND is_admin
