-- Notes that certificates' files are written.
-- params: 1 serials bigint[]
-- rows: none
UPDATE expunge.certificate c SET published_at = now() WHERE c.serial = ANY ($1::bigint[])
