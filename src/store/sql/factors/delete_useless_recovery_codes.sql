-- ?1 user_id, ?2 at, ?3 event_id.
-- An account without a factor has nothing to recover.
-- Cost: 1 event, the factors and the codes of the user read by index, 1 row written for each code.
DELETE FROM recovery_codes
WHERE user_id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
  AND NOT EXISTS (SELECT 1 FROM totp_secrets AS t WHERE t.user_id = ?1 AND t.is_confirmed = 1)
  AND NOT EXISTS (SELECT 1 FROM passkeys AS p WHERE p.user_id = ?1)
