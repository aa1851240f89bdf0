-- ?1 credential_id, ?2 user_id, ?3 counter, ?4 whether the counter may go back, ?5 whether it is backed up, ?6 now, ?7 hash of the
-- challenge, ?8 when the challenge expires, ?9 request_id.
-- Uses the passkey, unless it answered the challenge before or a later answer was used meanwhile. Forgets the challenges that expired. Refuses
-- the hundredth use within the life of a challenge, which no user needs.
-- Cost: 1 row read, 1 row written.
UPDATE passkeys
SET
  counter = ?3,
  is_backed_up = ?5,
  last_used_at = ?6,
  used_challenges = json_patch(
    (SELECT json_group_object(json_each.key, json_each.value) FROM json_each(used_challenges) WHERE json_each.value > ?6),
    json_object(?7, CAST(?8 AS INTEGER))
  ),
  used_by = ?9
WHERE credential_id = ?1
  AND user_id = ?2
  AND (counter < ?3 OR (counter = 0 AND ?3 = 0) OR ?4)
  AND NOT EXISTS (SELECT 1 FROM json_each(used_challenges) WHERE json_each.key = ?7)
  AND (SELECT count(*) FROM json_each(used_challenges) WHERE json_each.value > ?6) < 100
RETURNING credential_id
