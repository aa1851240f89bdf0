-- ?1 JSON array of [user_id, session_id].
-- Cost: 1 row written for each pair.
DELETE FROM owed_marks
WHERE (user_id, session_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))
