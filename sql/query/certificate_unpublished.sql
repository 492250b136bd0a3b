-- Certificates whose files are not written yet, the oldest first, locked: two workers never write one file.
-- params: 1 how many, 2 after this serial, 3 up to this one
-- rows: many
SELECT c.serial, c.id, c.note, c.tenant FROM expunge.certificate c
 WHERE c.published_at IS NULL AND c.serial > $2::bigint AND c.serial <= $3::bigint
 ORDER BY c.serial LIMIT $1::integer
   FOR UPDATE SKIP LOCKED
