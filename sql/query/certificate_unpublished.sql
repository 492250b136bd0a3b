-- Certificates whose files are not written yet, the oldest first.
-- params: 1 how many
-- rows: many
SELECT c.serial, c.id, c.note FROM expunge.certificate c WHERE c.published_at IS NULL ORDER BY c.serial LIMIT $1::integer
