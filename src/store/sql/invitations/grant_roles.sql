-- ?1 user_id, ?2 at, ?3 event_id, ?4 id of the challenge.
-- Roles that were changed after the invitation stay, and somebody who is no longer an admin grants none.
-- Cost: 1 challenge, the events of the user and the inviter read, at most 1 row written, plus an index entry if the user becomes an admin.
UPDATE users
SET roles = (SELECT c.roles FROM challenges AS c WHERE c.id = ?4)
WHERE id = ?1
  AND EXISTS (SELECT 1 FROM challenges AS c WHERE c.id = ?4 AND c.roles IS NOT NULL)
  AND EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.at = ?2 AND e.id = ?3)
  AND EXISTS (
    SELECT 1
    FROM audit_events AS e
    JOIN admins ON admins.id = e.actor_id
    WHERE e.user_id = ?1 AND e.kind = 'invited'
  )
  AND NOT EXISTS (SELECT 1 FROM audit_events AS e WHERE e.user_id = ?1 AND e.kind = 'roles_changed')
