-- ?1 id of the challenge, ?2 request_id, ?3 now.
-- A reserved address is stored as NULL, which violates the schema, so that the transaction fails as for a taken address.
-- Cost: 1 challenge, its registration and 1 reservation read, 2 rows written (the user and its index entry), 3 with a username.
INSERT INTO users (
  id, email, email_key, username, username_key, name, password_hash, credentials_version, roles,
  created_at, created_ip, created_user_agent, email_verified_at, slot, given_name, family_name, metadata
)
SELECT
  r.id, r.email,
  CASE WHEN NOT EXISTS (SELECT 1 FROM reserved_emails AS e WHERE e.email_key = r.email_key AND e.expires_at > ?3) THEN r.email_key END,
  r.username, r.username_key, r.name, r.password_hash, 0, r.roles,
  r.created_at, r.created_ip, r.created_user_agent, ?3, r.slot, r.given_name, r.family_name, r.metadata
FROM challenges AS c
JOIN registrations AS r ON r.id = c.user_id
WHERE c.id = ?1 AND c.spent_by = ?2
