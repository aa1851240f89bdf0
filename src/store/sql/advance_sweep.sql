UPDATE sweeps
SET
  after = CASE upto WHEN '~' THEN '' ELSE upto END,
  upto = COALESCE(
    (
      SELECT family_id
      FROM refresh_tokens
      WHERE family_id > CASE sweeps.upto WHEN '~' THEN '' ELSE sweeps.upto END
      ORDER BY family_id
      LIMIT 1 OFFSET ?1 - 1
    ),
    '~'
  )
WHERE name = 'refresh_tokens'
RETURNING upto
