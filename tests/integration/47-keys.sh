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

build=$(dirname "$EXPUNGE")
sanitize=()
if nm "$build/libexpunge.a" 2>/dev/null | grep __asan_init >/dev/null; then
	sanitize=("-fsanitize=address,undefined") # a library that `make debug` built
elif nm "$build/libexpunge.a" 2>/dev/null | grep __gcov_init >/dev/null; then
	sanitize=(--coverage) # one that `make coverage` built
fi
# shellcheck disable=SC2046 # pkg-config prints words
ok "the probe is built" "${CC:-gcc}" -std=gnu11 -g -D_GNU_SOURCE -I"$ROOT/lib" "${sanitize[@]}" -o "$T/probe" \
	"$ROOT/tests/integration/keys_probe.c" "$build/libexpunge.a" $(pkg-config --libs libpq libconfig libcrypto jansson libzstd)

mkdir -m 0700 "$T/places" "$T/backup" "$T/elsewhere"
run timeout 300 "$T/probe" "host=$PGHOST port=$PGPORT dbname=clinic" "$T/places/a1" "$T/places/a2" "$T/places/b1" "$T/places/b2" \
	"$T/backup" "$T/elsewhere"
while IFS= read -r line; do
	case $line in
	"ok "*) verdict true "${line#ok }" ;;
	*) verdict false "${line#not ok }" ;;
	esac
done <<<"$OUT"
rc_is 0 "the probe came to its end"

done_testing
