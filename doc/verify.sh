#!/bin/sh
# usage: verify.sh issuer.pem KEYNAME NOTE...
# Verifies signed notes (certificate.md) with stock tools: "ok" or "BAD" a file, exit 0 if all are ok.
set -u; export LC_ALL=C
[ $# -ge 3 ] || { echo "usage: verify.sh issuer.pem KEYNAME NOTE..." >&2; exit 2; }
pem=$1 name=$2; shift 2
dir=$(mktemp -d) || exit 2; trap 'rm -rf "$dir"' EXIT
# the key id: first 4 bytes of SHA-256(name, LF, 0x01, the 32 bytes of the key)
openssl pkey -pubin -in "$pem" -outform DER | tail -c 32 > "$dir/key" && [ -s "$dir/key" ] || exit 2
{ printf '%s\n\001' "$name"; cat "$dir/key"; } | openssl dgst -sha256 -binary | head -c 4 > "$dir/id"
check() { # the last blank line parts text and signatures; one at least is the issuer's, none of his is bad
	[ -z "$(tail -c 1 "$1")" ] && [ "$(tr -cd '\000' < "$1" | wc -c)" -eq 0 ] || return 1
	blank=$(sed -n '/^$/=' "$1" | tail -n 1); [ "${blank:-0}" -gt 1 ] || return 1
	head -n "$((blank - 1))" "$1" > "$dir/body"; tail -n "+$((blank + 1))" "$1" > "$dir/lines"; good=0
	while IFS= read -r line; do
		signer=${line#— }; signer=${signer%% *}; base64=${line##* }
		[ "$line" = "— $signer $base64" ] && printf %s "$base64" | openssl base64 -d -A > "$dir/sig" || return 1
		[ -s "$dir/sig" ] && [ "$(openssl base64 -A -in "$dir/sig")" = "$base64" ] || return 1
		if [ "$signer" != "$name" ] || ! head -c 4 "$dir/sig" | cmp -s - "$dir/id"; then continue; fi
		tail -c +5 "$dir/sig" > "$dir/raw"; good=1
		openssl pkeyutl -verify -rawin -pubin -inkey "$pem" -in "$dir/body" -sigfile "$dir/raw" || return 1
	done < "$dir/lines"
	[ "$good" = 1 ]
}
bad=0
for note; do if check "$note" > /dev/null 2>&1; then echo "ok $note"; else echo "BAD $note"; bad=1; fi; done
exit "$bad"
