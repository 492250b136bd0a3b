-- Stores signed final certificates, and says so of their requests, and of an account that is closed.
-- params: 1 serials bigint[], 2 ids, 3 kinds, 4 tenants, 5 requests uuid[], 6 notes
-- rows: one
WITH given AS (
    SELECT g.*
      FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[]) g(serial, id, kind, tenant, request, note)
), stored AS (
    INSERT INTO expunge.certificate (serial, id, kind, stage, tenant, request_id, note)
    SELECT g.serial, g.id, g.kind, 'final', g.tenant, g.request, g.note FROM given g
    RETURNING request_id
), ended AS (
    UPDATE expunge.request r SET final_at = now()
      FROM given g WHERE r.id = g.request AND r.final_at IS NULL
    RETURNING r.id
), closed AS (
    UPDATE expunge.closure c SET final_at = now()
      FROM given g WHERE c.id = g.request AND c.state = 'certified'
)
SELECT (SELECT count(*) FROM stored), (SELECT count(*) FROM ended)
