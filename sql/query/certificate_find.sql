-- The signed note of one certificate.
-- params: 1 serial or null, 2 id or null
-- rows: maybe
SELECT c.note FROM expunge.certificate c WHERE c.serial = $1::bigint OR c.id = $2::text
