-- Notes that a certificate's files are written.
-- params: 1 serial
-- rows: none
UPDATE expunge.certificate c SET published_at = now() WHERE c.serial = $1::bigint
