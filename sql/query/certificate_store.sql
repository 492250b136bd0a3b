-- Stores a signed certificate.
-- params: 1 serial, 2 id, 3 kind, 4 stage, 5 tenant, 6 request, 7 note
-- rows: none
INSERT INTO expunge.certificate (serial, id, kind, stage, tenant, request_id, note)
VALUES ($1::bigint, $2, $3, $4, $5, $6::uuid, $7)
