INSERT INTO events (user_id, at, id, kind, count, last_at, actor_id, session_id, detail)
SELECT target.id, ?3, ?4, ?5, 1, ?3, callers.user_id, callers.family_id, ?7
FROM callers
JOIN users AS target ON target.id = ?6
WHERE callers.family_id = ?1
  AND callers.user_id = ?2
  AND callers.expires_at > ?3
  AND callers.is_admin
  AND CASE ?5
    WHEN 'disabled' THEN target.disabled_at IS NULL
    WHEN 'enabled' THEN target.disabled_at IS NOT NULL
    WHEN 'roles_changed' THEN target.roles <> ?7
    ELSE TRUE
  END
  AND (
    NOT ?8
    OR instr(target.roles, '"admin"') = 0
    OR target.disabled_at IS NOT NULL
    OR EXISTS (SELECT 1 FROM admins WHERE admins.id <> target.id)
  )
RETURNING id
