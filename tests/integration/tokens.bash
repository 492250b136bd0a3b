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
	mkdir -p -m 0700 "$dir/tokens"
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$dir/tokens" >"$dir/softhsm.conf"
	export SOFTHSM2_CONF=$dir/softhsm.conf
	softhsm2-util --init-token --free --label "${2:-expunge}" --so-pin 12345678 --pin "$PIN" >/dev/null
	(umask 077 && printf '%s\n' "$PIN" >"$dir/pin")
}

# with_token_keys [MODULE]: as with_keys, the second share on the token that make_token has made; the module
# gets SOFTHSM2_CONF from the configuration, as it has to where a timer starts the program
with_token_keys() {
	local dir=${CONF%/*}
	mkdir -p -m 0700 "$dir/shares" "$dir/here" "$dir/there"
	cat >>"$CONF" <<-CONF
		keys : {
		  shares = ( { replicas = ["$dir/shares/1a", "$dir/shares/1b"]; },
		    { replicas = ["$dir/shares/2a"];
		      tokens = ( { module = "${1:-$(softhsm)}"; label = "expunge"; pin_file = "$dir/pin"; environment = ["SOFTHSM2_CONF=$SOFTHSM2_CONF"]; } ); } );
		  anchor = "$dir/state/anchor";
		};
		archives : {
		  destinations = ( { name = "here"; directory = "$dir/here"; }, { name = "there"; directory = "$dir/there"; } );
		  key = "$dir/archives.pem";
		};
	CONF
	expunge_as postgres init
}

# token_objects: how many key objects the token's directory holds
token_objects() {
	find "$(dirname "$SOFTHSM2_CONF")/tokens" -name '*.object' ! -name token.object | wc -l
}
