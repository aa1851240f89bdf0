-- ?1 id, ?2 email, ?3 email_key, ?4 username, ?5 username_key, ?6 name, ?7 password_hash, ?8 roles,
-- ?9 created_at, ?10 created_ip, ?11 created_user_agent, ?12 slot, ?13 given_name, ?14 family_name, ?15 metadata.
-- A reserved address is stored as NULL, which violates the schema, so that the transaction fails as for a taken address.
-- Cost: 1 reservation read, 2 rows written (the user and its index entry), 3 with a username.
INSERT INTO users (
  id, email, email_key, username, username_key, name, password_hash, credentials_version, roles,
  created_at, created_ip, created_user_agent, slot, given_name, family_name, metadata
)
VALUES (
  ?1, ?2, CASE WHEN NOT EXISTS (SELECT 1 FROM reserved_emails WHERE email_key = ?3 AND expires_at > ?9) THEN ?3 END,
  ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15
)
