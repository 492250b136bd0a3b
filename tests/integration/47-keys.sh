#!/usr/bin/env bash
# The key tree in a real database, its root in four directories: leaves made once, shredded for good, a change of the
# root that fails or is killed gone on with, an attacker who has every row that was ever written, and a journal that gives back all that lives. The cases are in
# keys_probe.c, which is linked with the library here.
. "$(dirname "$0")/../lib.sh"

fresh_db clinic
install clinic
sql clinic "CREATE TABLE public.seen (LIKE expunge.key_page)" \
	"CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS
		\$\$BEGIN INSERT INTO public.seen SELECT NEW.*; RETURN NULL; END\$\$" \
	"CREATE TRIGGER see AFTER INSERT OR UPDATE ON expunge.key_page FOR EACH ROW EXECUTE FUNCTION public.see()"

build_probe keys_probe

mkdir -m 0700 "$T/places" "$T/backup" "$T/elsewhere"
run timeout 300 "$T/keys_probe" "host=$PGHOST port=$PGPORT dbname=clinic" "$T/places/a1" "$T/places/a2" "$T/places/b1" "$T/places/b2" \
	"$T/backup" "$T/elsewhere"
while IFS= read -r line; do
	case $line in
	"ok "*) verdict true "${line#ok }" ;;
	*) verdict false "${line#not ok }" ;;
	esac
done <<<"$OUT"
rc_is 0 "the probe came to its end"

done_testing
