-- The top page of the directory.
-- params: none
-- rows: maybe
SELECT p.id FROM expunge.key_page p WHERE p.tenant = '' AND p.parent = 0
