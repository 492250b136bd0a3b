-- Binds certified requests to the stores that their certificates name.
-- params: 1 requests uuid[], 2 names text[], 3 kinds text[], 4 whether they are declared boolean[], 5 last days of a copy date[]
-- rows: none
INSERT INTO expunge.request_store (request_id, name, kind, declared, until, bound_until)
SELECT r.id, s.name, s.kind, s.declared, s.until, s.until
  FROM unnest($1::uuid[]) AS r(id)
 CROSS JOIN unnest($2::text[], $3::text[], $4::boolean[], $5::date[]) AS s(name, kind, declared, until)
