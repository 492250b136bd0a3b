#!/usr/bin/env bash
# init: idempotent, transactional, a superuser's; and what it makes.
. "$(dirname "$0")/../lib.sh"
fresh_db clinic
configure "$T/clinic" clinic
mkrole night

run expunge_as night init
rc_is 1 "an ordinary login cannot initialise"
err_like 'needs a superuser' "and is told what is wanted"
is "$(sql clinic "SELECT to_regnamespace('expunge') IS NULL")" t "nothing was made"
run expunge_as night status
rc_is 1 "before init, other commands cannot run"
err_like 'expunge init' "and name the remedy"

cp "$CONF" "$T/conf"
mkdir "$T/clinic/here"
cat >>"$CONF" <<-CONF
	keys : { shares = ( { replicas = ["$T/clinic/1a"]; } ); anchor = "$T/clinic/state/anchor"; };
	archives : { destinations = ( { name = "here"; directory = "$T/clinic/here"; } ); key = "$T/clinic/archives.pem"; };
CONF
run expunge_as postgres check
out_like '^error +root shares: .*no control schema.*expunge init' "check says so of the key tree"
out_like '^error +issuer key: .*no such file; run expunge init' "and of a key that was never made"
out_unlike 'relation|from its backup; .expunge init. makes one only' "and speaks neither of relations nor of backups"
cp "$T/conf" "$CONF"
chmod 600 "$CONF"

run expunge_as postgres init --dry-run
rc_is 0 "a dry run of init"
err_like 'applying sql/schema/001_control.sql' "tells what it would apply"
is "$(sql clinic "SELECT to_regnamespace('expunge') IS NULL")" t "and applies nothing"

run expunge_as postgres init
rc_is 0 "init"
is "$(stat -c %a "$T/clinic/issuer.pem")" 600 "the issuer key is its user's alone"
is "$(stat -c %a "$T/clinic/ledger/key")" 600 "so is the ledger key"
ok "the public key is beside the certificates" openssl pkey -pubin -in "$T/clinic/certificates/issuer.pem" -noout
key=$(sha256sum <"$T/clinic/issuer.pem")
instance=$(sql clinic "SELECT id FROM expunge.instance")

sed -i 's/undo_days = 0/undo_days = 3/' "$CONF"
run expunge_as postgres init
rc_is 0 "init again"
is "$(sha256sum <"$T/clinic/issuer.pem")" "$key" "keeps the key"
is "$(sql clinic "SELECT id FROM expunge.instance")" "$instance" "and the instance"
is "$(sql clinic "SELECT undo_days FROM expunge.instance")" 3 "and takes over the policy"
is "$(sql clinic "SELECT count(*) FROM expunge.migration")" "$(find "$ROOT/sql/schema" -name '*.sql' ! -name '000_*' | wc -l)" "each schema file is applied once"
is "$(sql clinic "SELECT pg_has_role('app_owner', 'expunge_job', 'MEMBER')")" t "the map's login may remove"

# ---- before the application has made its tables
sql postgres "CREATE DATABASE bare TEMPLATE template0"
configure "$T/bare" bare
run expunge_as postgres init
rc_is 0 "a database without the application's tables is initialised"
err_like 'no test patients can be registered' "... and what has to wait for them is told"
CONF=$T/clinic/expunge.conf

sql clinic "UPDATE expunge.migration SET sha256 = 'sha256:0' WHERE number = 1"
run expunge_as postgres init
rc_is 5 "a schema made by another program is refused"
err_like '001_control.sql is not the file' "by name"
done_testing
