-- Notes that a file of sql/schema was applied.
-- params: 1 number, 2 file name, 3 sha256
-- rows: none
INSERT INTO expunge.migration (number, name, sha256) VALUES ($1::integer, $2, $3)
