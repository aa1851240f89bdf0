-- ?1 end of the time to delete.
-- Cost: the rows of a step read by key, 1 row written for each that is due.
DELETE FROM refresh_tokens
WHERE session_id > (SELECT after FROM cleanup_progress WHERE name = 'refresh_tokens')
  AND session_id <= (SELECT upto FROM cleanup_progress WHERE name = 'refresh_tokens')
  AND COALESCE(revoked_at, expires_at) < ?1
