-- Which copies of an archive are bad, after each was read; of those that were not, what was known stays.
-- params: 1 id, 2 destinations whose copy is good, 3 bad; a line each
-- rows: none
UPDATE expunge.archive a SET damaged = now_bad.names
  FROM (SELECT b.id, array(SELECT unnest(b.damaged) EXCEPT SELECT unnest(string_to_array($2, E'\n')) UNION
                           SELECT n FROM unnest(string_to_array($3, E'\n')) n WHERE n <> '' ORDER BY 1) AS names
          FROM expunge.archive b WHERE b.id = $1) now_bad
 WHERE a.id = now_bad.id AND a.damaged <> now_bad.names
