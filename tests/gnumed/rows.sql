-- Prints every row of every table of the database as COPY text, one line a row, led by the name of
-- its table and sorted, so that two dumps can be held against each other with diff or comm:
--
--   psql -X -q -At -d DATABASE -f rows.sql > FILE
--
-- Left out: system schemas, the control schemas of Expunge, sequences. Inherited tables are read with
-- ONLY. Binary columns are printed as they are, so a changed document shows as well.

\set ON_ERROR_STOP 1
SET default_transaction_read_only = on;
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET IntervalStyle = 'postgres';
SET extra_float_digits = 1;
SET bytea_output = 'hex';
SET jit = off;
BEGIN ISOLATION LEVEL REPEATABLE READ;

SELECT format('COPY (SELECT %L, t.* FROM ONLY %I.%I AS t ORDER BY t::text COLLATE "C") TO STDOUT',
              n.nspname || '.' || c.relname, n.nspname, c.relname)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'expunge', 'expunge_api')
   AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
\gexec

COMMIT;
