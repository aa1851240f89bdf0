-- ?1 id, ?2 now, ?3 time before which sign-ins are refused.
-- Cost: 1 row and its user read by index, nothing written.
SELECT
  s.amr, s.transport, s.remember, s.name_key, s.passkey_id, s.credentials_version, u.slot, u.user, u.factors
FROM pending_sign_ins AS s
JOIN user_objects AS u ON u.id = s.user_id AND u.credentials_version = s.credentials_version
WHERE s.id = ?1 AND s.spent_by IS NULL AND s.expires_at > ?2 AND s.created_at >= ?3
