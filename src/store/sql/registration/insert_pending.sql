-- ?1 id, ?2 email, ?3 email_key, ?4 username, ?5 username_key, ?6 name, ?7 password_hash, ?8 roles, ?9 created_at,
-- ?10 created_ip, ?11 created_user_agent, ?12 slot, ?13 given_name, ?14 family_name, ?15 metadata, ?16 expires_at, ?17 challenge_id,
-- ?18 JSON object of the passkey or NULL.
-- Cost: 1 challenge read, 3 rows written (the row and its index entries).
INSERT INTO registrations (
  id, email, email_key, username, username_key, name, password_hash, roles,
  created_at, created_ip, created_user_agent, slot, given_name, family_name, metadata, expires_at, passkey
)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?18
WHERE EXISTS (SELECT 1 FROM challenges WHERE id = ?17)
