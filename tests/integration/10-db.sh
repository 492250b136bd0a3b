#!/usr/bin/env bash
# The database layer against a real server: shapes, errors without row values, transactions, lost
# connections, pipelines, COPY. The cases are in db_probe.c, which is linked with the library here.
. "$(dirname "$0")/../lib.sh"

fresh_db probe template0
sql probe "
	CREATE SCHEMA app;
	CREATE TABLE app.t (id int PRIMARY KEY, v text);
	INSERT INTO app.t VALUES (1, 'secret'), (2, 'b'), (3, 'c');
	CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS
		\$\$BEGIN RAISE EXCEPTION '% may not come', NEW.v USING HINT = 'ask ' || NEW.v; END\$\$;
	CREATE TRIGGER refuse BEFORE INSERT ON app.t FOR EACH ROW WHEN (NEW.id = 9) EXECUTE FUNCTION app.refuse();
	CREATE TABLE app.late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE app.slow (id int);
	CREATE FUNCTION app.sleep() RETURNS trigger LANGUAGE plpgsql AS
		\$\$BEGIN PERFORM pg_catalog.pg_sleep(30); RETURN NULL; END\$\$;
	CREATE CONSTRAINT TRIGGER sleep AFTER INSERT ON app.slow DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION app.sleep();
	ALTER DATABASE probe SET synchronous_commit = off" >/dev/null

build_probe db_probe

run timeout 120 "$T/db_probe" "host=$PGHOST port=$PGPORT dbname=probe" probe
while IFS= read -r line; do
	case $line in
	"ok "*) verdict true "${line#ok }" ;;
	*) verdict false "${line#not ok }" ;;
	esac
done <<<"$OUT"
rc_is 0 "the probe came to its end"
err_is "" "the library says nothing by itself"

done_testing
