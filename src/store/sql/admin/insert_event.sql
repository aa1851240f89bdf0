-- ?1 caller session_id, ?2 caller user_id, ?3 now, ?4 id, ?5 kind, ?6 target user_id, ?7 new roles,
-- ?8 whether the action removes an admin, ?9 JSON object of the metadata columns to set.
-- A reset is recorded only if fewer than three codes that admins asked for are live.
-- Cost: the caller, the target and, of a reset, its live challenges or its factors read, 2 rows written (the event and its index entry).
INSERT INTO audit_events (user_id, at, id, kind, count, last_at, actor_id, session_id, detail)
SELECT target.id, ?3, ?4, ?5, 1, ?3, callers.user_id, callers.session_id, ?7
FROM callers
JOIN users AS target ON target.id = ?6
WHERE callers.session_id = ?1
  AND callers.user_id = ?2
  AND callers.expires_at > ?3
  AND callers.is_admin
  AND CASE ?5
    WHEN 'disabled' THEN target.disabled_at IS NULL
    WHEN 'enabled' THEN target.disabled_at IS NOT NULL
    WHEN 'factors_reset' THEN
      EXISTS (SELECT 1 FROM totp_secrets AS t WHERE t.user_id = target.id AND t.is_confirmed = 1)
      OR EXISTS (SELECT 1 FROM passkeys AS p WHERE p.user_id = target.id)
      OR EXISTS (SELECT 1 FROM recovery_codes AS c WHERE c.user_id = target.id)
    WHEN 'roles_changed' THEN target.roles <> ?7
    WHEN 'password_reset_started' THEN
      target.disabled_at IS NULL
      AND (
        SELECT count(*) < 3
        FROM challenges AS live
        WHERE live.email_key = target.email_key AND live.expires_at > ?3 AND live.spent_by IS NULL AND live.source = 'admin'
      )
    WHEN 'metadata_changed' THEN
      (json_type(?9, '$.metadata') IS NOT NULL AND target.metadata IS NOT ?9 ->> '$.metadata')
      OR (json_type(?9, '$.app_metadata') IS NOT NULL AND target.app_metadata IS NOT ?9 ->> '$.app_metadata')
    ELSE TRUE
  END
  AND (
    NOT ?8
    OR target.is_admin = 0
    OR target.disabled_at IS NOT NULL
    OR EXISTS (SELECT 1 FROM admins WHERE admins.id <> target.id)
  )
RETURNING id
