UPDATE sweeps
SET
  begun_at = CASE WHEN upto = '~' AND begun_at <= ?2 - 86400 THEN ?2 ELSE begun_at END,
  after = CASE WHEN upto <> '~' THEN upto WHEN begun_at <= ?2 - 86400 THEN '' ELSE '~' END,
  upto = CASE
    WHEN upto = '~' AND begun_at > ?2 - 86400 THEN '~'
    ELSE COALESCE(
      (
        SELECT family_id
        FROM refresh_tokens
        WHERE family_id > CASE sweeps.upto WHEN '~' THEN '' ELSE sweeps.upto END
        ORDER BY family_id
        LIMIT 1 OFFSET ?1 - 1
      ),
      '~'
    )
  END
WHERE name = 'refresh_tokens'
RETURNING upto
