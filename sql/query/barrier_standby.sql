-- Whether standbys have flushed the write-ahead log up to a position: all that are connected under a name, or all that the
-- server counts as synchronous at present, and at least as many as a COMMIT would wait for.
-- params: 1 position, 2 name of a standby or of its slot (empty: every synchronous one)
-- rows: one
SELECT v.n >= v.needed AS there, v.n >= v.needed AND v.n_behind = 0 AS passed,
       CASE WHEN v.n = 0 AND $2 <> '' THEN 'standby ' || $2 || ' is not connected'
            WHEN v.n = 0 THEN 'no synchronous standby is connected'
            WHEN v.n < v.needed THEN v.n || ' of ' || v.needed || ' synchronous standbys are connected'
            WHEN v.n_behind > 0 THEN v.behind || ', and ' || $1 || ' is waited for'
            ELSE v.present || ' is connected' END AS standing,
       NULL::text AS warning, NULL::text AS remedy
  FROM (SELECT w.needed, count(s.name) AS n, count(s.name) FILTER (WHERE s.flushed IS NOT TRUE) AS n_behind,
               string_agg('standby ' || s.name || CASE WHEN s.lsn IS NULL THEN ' has not said what it has' ELSE ' has flushed up to ' || s.lsn END,
                          ', ' ORDER BY s.name) FILTER (WHERE s.flushed IS NOT TRUE) AS behind,
               string_agg('standby ' || s.name, ', ' ORDER BY s.name) AS present
          FROM (SELECT CASE $2 WHEN '' THEN coalesce(substring(lower(current_setting('synchronous_standby_names'))
                           FROM '^\s*(?:first|any)?\s*([0-9]+)\s*\(')::integer, 1) ELSE 1 END) w(needed)
          LEFT JOIN (SELECT k.name, k.slot, k.synchronous, k.lsn, k.lsn >= $1::pg_lsn
                       FROM expunge.standbys_seen() k) s(name, slot, synchronous, lsn, flushed)
            ON CASE $2 WHEN '' THEN s.synchronous ELSE $2 IN (s.name, s.slot) END
         GROUP BY w.needed) v
