-- Certificates whose files are not written yet.
-- params: none
-- rows: many
SELECT c.serial, c.id, c.note FROM expunge.certificate c WHERE c.published_at IS NULL ORDER BY c.serial
