#!/usr/bin/env bash
# rows.sh DB: every row of the application's tables, "table:row" a line, sorted; and every large object.
set -euo pipefail
psql -XAtq -v ON_ERROR_STOP=1 -U postgres -d "$1" <<'SQL' | LC_ALL=C sort
SELECT format('SELECT %L || t::text FROM ONLY %I.%I t', n.nspname || '.' || c.relname || ':', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('app', 'audit') AND c.relkind = 'r' \gexec
SELECT 'large object:' || m.oid || ' ' || md5(lo_get(m.oid)) FROM pg_largeobject_metadata m;
SQL
