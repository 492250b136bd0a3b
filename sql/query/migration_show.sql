-- The hash of an applied file of sql/schema.
-- params: 1 number
-- rows: maybe
SELECT m.sha256 FROM expunge.migration m WHERE m.number = $1::integer
