-- ?1 user_id, ?2 salt, ?3 time at which the notice was due, ?4 time of the next one, ?5 takes_effect_at.
-- Cost: 1 row read, 2 written (the row and its index entry).
UPDATE email_changes
SET next_notice_at = ?4, takes_effect_at = ?5
WHERE user_id = ?1 AND salt = ?2 AND next_notice_at = ?3
