INSERT INTO users (id, email, email_key, username, username_key, name, password_hash, password_version, roles, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9)
