# A token of SoftHSM's in a directory of the test's own, and a key tree of which one share is on it.
# shellcheck shell=bash
: "${PIN:=0451-left-of-the-door}"

# softhsm: the module, where Debian and others put it
softhsm() {
	local path
	for path in /usr/lib/softhsm /usr/lib/*/softhsm /usr/lib64/softhsm /usr/lib64/pkcs11 /usr/local/lib/softhsm; do
		[ ! -e "$path/libsofthsm2.so" ] || { realpath "$path/libsofthsm2.so"; return; }
	done
	return 1
}

# make_token NAME [LABEL]: in $T/NAME/tokens, its PIN in $T/NAME/pin; SOFTHSM2_CONF then names it
make_token() {
	local dir=$T/$1
	(umask 077 && mkdir -p "$dir/tokens")
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$dir/tokens" >"$dir/softhsm.conf"
	export SOFTHSM2_CONF=$dir/softhsm.conf
	softhsm2-util --init-token --free --label "${2:-expunge}" --so-pin 12345678 --pin "$PIN" >/dev/null
	(umask 077 && printf '%s\n' "$PIN" >"$dir/pin")
}

# with_token_keys: as with_keys, the second share on the token that make_token has made, by the module $MODULE (the real
# one). A module gets its environment from the configuration, for a timer that starts the program has none.
with_token_keys() {
	local dir=${CONF%/*}
	(umask 077 && mkdir -p "$dir/shares" "$dir/here" "$dir/there")
	cat >>"$CONF" <<-CONF
		keys : {
		  shares = ( { replicas = ["$dir/shares/1a", "$dir/shares/1b"]; },
		    { replicas = ["$dir/shares/2a"];
		      tokens = ( $(token_of "${MODULE:-$(softhsm)}" expunge "${SOFTHSM2_CONF%/*}/pin") ); } );
		  anchor = "$dir/state/anchor";
		};
		archives : {
		  destinations = ( { name = "here"; directory = "$dir/here"; }, { name = "there"; directory = "$dir/there"; } );
		  key = "$dir/archives.pem";
		};
	CONF
	expunge_as postgres init
}

# token_of MODULE LABEL PINFILE: as the configuration has it; what begins with FAKE_PKCS11_ is passed on
token_of() {
	local environment
	environment=$(env | sed -n 's/^\(SOFTHSM2_CONF=.*\|FAKE_PKCS11_.*\)$/"\1"/p' | paste -sd, -)
	printf '{ module = "%s"; label = "%s"; pin_file = "%s"; environment = [%s]; }' "$1" "$2" "$3" "$environment"
}

# token_objects: how many key objects the token's directory holds
token_objects() {
	find "${SOFTHSM2_CONF%/*}/tokens" -name '*.object' ! -name token.object | wc -l
}
