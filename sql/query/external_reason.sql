-- Why a removed request has no certificate yet; NULL takes it back.
-- params: 1 request, 2 reason
-- rows: none
UPDATE expunge.request r SET reason = left($2, 400), reason_at = CASE WHEN $2 IS NULL THEN NULL ELSE now() END
 WHERE r.id = $1::uuid
