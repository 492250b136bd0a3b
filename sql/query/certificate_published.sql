-- Notes that certificates' files are written; those that it did not say of yet.
-- params: 1 serials bigint[]
-- rows: many
UPDATE expunge.certificate c SET published_at = now()
 WHERE c.serial = ANY ($1::bigint[]) AND c.published_at IS NULL
RETURNING c.serial
