UPDATE users
SET
  username = CASE WHEN ?6 THEN ?7 ELSE username END,
  username_key = CASE WHEN ?6 THEN ?8 ELSE username_key END,
  name = CASE WHEN ?9 THEN ?10 ELSE name END
WHERE id = ?2
  AND EXISTS (SELECT 1 FROM callers WHERE family_id = ?1 AND user_id = ?2 AND expires_at > ?3)
  AND ((?6 AND username IS NOT ?7) OR (?9 AND name IS NOT ?10))
