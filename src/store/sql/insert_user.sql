INSERT INTO users (
  id, email, email_key, username, username_key, name, password_hash, password_version, roles,
  created_at, created_ip, created_user_agent
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11)
