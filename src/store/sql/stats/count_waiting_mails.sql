-- ?1 caller session_id, ?2 caller user_id, ?3 now.
-- Cost: the caller and the mails in the outbox read by index, nothing written.
SELECT COUNT(*) AS count
FROM outbox
WHERE claimed_until >= (SELECT 0 FROM callers WHERE session_id = ?1 AND user_id = ?2 AND expires_at > ?3 AND is_admin)
  AND email IS NOT NULL
