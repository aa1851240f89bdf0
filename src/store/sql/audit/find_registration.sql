-- ?1 user_id.
-- Cost: 1 user read, nothing written.
SELECT created_at, created_ip AS ip, created_user_agent AS user_agent
FROM users
WHERE id = ?1
