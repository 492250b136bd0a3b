-- Notes that a tenant's data was written out in open form.
-- params: 1 tenant, 2 as of, 3 SHA-256 of its SHA256SUMS
-- rows: one
SELECT expunge.record_export($1, $2::timestamptz, $3) AS closing
