-- ?1 user_id, ?2 at, ?3 event_id, ?4 id, ?5 purpose, ?6 roles, ?7 salt, ?8 expires_at, ?9 locale.
-- A challenge that an admin makes. Its source tells it from those of strangers, with which it shares no maximum.
-- Cost: 1 user and 1 event read, 3 rows written (the row and its index entries).
INSERT INTO challenges (
  id, purpose, user_id, email_key, credentials_version, roles, salt, source, tries, created_at, expires_at, locale
)
SELECT ?4, ?5, u.id, u.email_key, u.credentials_version, ?6, ?7, 'admin', 0, ?2, ?8, ?9
FROM users AS u
WHERE u.id = ?1
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
