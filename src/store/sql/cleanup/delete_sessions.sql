-- ?1 sessions that ended before this time are deleted.
-- Cost: the rows of a step read by key, 1 row written for each deleted session.
DELETE FROM refresh_tokens
WHERE session_id > (SELECT after FROM cleanup_progress WHERE name = 'refresh_tokens')
  AND session_id <= (SELECT upto FROM cleanup_progress WHERE name = 'refresh_tokens')
  AND COALESCE(revoked_at, expires_at) < ?1
