-- An archive that got its name nowhere.
-- params: 1 id
-- rows: none
DELETE FROM expunge.archive WHERE id = $1 AND state = 'naming'
