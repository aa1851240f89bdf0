-- ?1 rows per step, ?2 now.
-- Cost: the keys of a step read, 1 row written.
UPDATE cleanup_progress
SET
  begun_at = CASE WHEN upto = '~' AND begun_at <= ?2 - 86400 THEN ?2 ELSE begun_at END,
  after = CASE WHEN upto <> '~' THEN upto WHEN begun_at <= ?2 - 86400 THEN '' ELSE '~' END,
  upto = CASE
    WHEN upto = '~' AND begun_at > ?2 - 86400 THEN '~'
    ELSE COALESCE(
      (
        SELECT session_id
        FROM refresh_tokens
        WHERE session_id > CASE cleanup_progress.upto WHEN '~' THEN '' ELSE cleanup_progress.upto END
        ORDER BY session_id
        LIMIT 1 OFFSET ?1 - 1
      ),
      '~'
    )
  END
WHERE name = 'refresh_tokens'
RETURNING upto
