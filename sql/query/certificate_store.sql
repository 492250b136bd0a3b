-- Stores signed certificates, and what opens each one's subject-ref until the practice collects it or its date has
-- come; ends their requests, which from here no longer say whom they were about.
-- params: 1 serials bigint[], 2 ids, 3 kinds, 4 stages, 5 tenants, 6 requests uuid[], 7 notes, 8 salts, 9 subjects, 10 keyed hashes of the subjects, 11 as of, 12 lsn
-- rows: one
WITH given AS (
    SELECT g.*
      FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[],
                  $9::text[], $10::text[]) g(serial, id, kind, stage, tenant, request, note, salt, subject, hash)
), stored AS (
    INSERT INTO expunge.certificate (serial, id, kind, stage, tenant, request_id, note)
    SELECT g.serial, g.id, g.kind, g.stage, g.tenant, g.request, g.note FROM given g
    RETURNING request_id
), opened AS (
    INSERT INTO expunge.opening (request_id, tenant, salt, subject, expires_at)
    SELECT g.request, g.tenant, g.salt, g.subject, now() + make_interval(days => i.opening_days)
      FROM given g CROSS JOIN expunge.instance i
    RETURNING request_id
), ended AS (
    UPDATE expunge.request r SET state = 'certified', certified_at = now(), subject = NULL, subject_hash = g.hash,
           recounted_at = $11::timestamptz, recounted_lsn = $12::pg_lsn,
           final_at = CASE g.stage WHEN 'final' THEN now() END
      FROM given g WHERE r.id = g.request
    RETURNING r.id
)
SELECT (SELECT count(*) FROM stored), (SELECT count(*) FROM opened), (SELECT count(*) FROM ended)
