-- ?1 id of the challenge, ?2 request_id, ?3 salt, ?4 requested_at, ?5 takes_effect_at, ?6 next_notice_at.
-- Cost: 1 challenge read, 2 rows written (the row and its index entry).
INSERT INTO email_changes (
  user_id, new_email, new_email_key, credentials_version, salt, requested_at, takes_effect_at, next_notice_at
)
SELECT user_id, new_email, new_email_key, credentials_version, ?3, ?4, ?5, ?6
FROM challenges
WHERE id = ?1 AND spent_by = ?2
ON CONFLICT (user_id) DO UPDATE
SET
  new_email = excluded.new_email, new_email_key = excluded.new_email_key,
  credentials_version = excluded.credentials_version, salt = excluded.salt, requested_at = excluded.requested_at,
  takes_effect_at = excluded.takes_effect_at, next_notice_at = excluded.next_notice_at
