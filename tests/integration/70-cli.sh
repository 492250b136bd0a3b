#!/usr/bin/env bash
# The command line against what is written about it: every command and option of --help stands in the
# man page and in the completion, and neither knows one that is gone; every setting stands in the man
# page and the sample; usage errors exit 2 with a hint.
. "$(dirname "$0")/../lib.sh"

MAN=$ROOT/doc/expunge.1
COMPLETION=$ROOT/etc/completion/expunge

lines() { # differences of two sorted files of lines, as "< only here" and "> only there"
	diff "$1" "$2" | grep '^[<>]' || true
}

# ---------------------------------------------------------------- commands and options, as the program has them
run "$EXPUNGE" --help
rc_is 0 "--help succeeds"
err_is "" "and says nothing on stderr"
sed -n 's/^  \([a-z][a-z ]*[a-z]\)   *[a-z].*/\1/p' "$T/out" >"$T/commands"
nok "it lists commands" test "$(wc -l <"$T/commands")" -lt 20

: >"$T/options" # "command --option" and, with a value, "command --option="
while read -r command; do
	# shellcheck disable=SC2086 # a command is one word or two
	run "$EXPUNGE" $command --help
	if [ "$RC" != 0 ] || [ -n "$ERR" ] || ! grep -q "^usage: expunge $command" "$T/out"; then
		rc_is 0 "$command --help"
		err_is "" "$command --help is silent on stderr"
		out_like "^usage: expunge $command" "$command --help shows its usage"
	fi
	sed -nE "s/^  (-(.), )?--([a-z-]+)( [A-Z]+)? .*/\2 \3\4/p" "$T/out" | while IFS=' ' read -r a b c; do
		case $a in ?) short=$a name=$b value=${c:-} ;; *) short='' name=$a value=${b:-} ;; esac
		printf '%s --%s%s\n' "$command" "$name" "${value:+=}"
		if [ -n "$short" ]; then printf '%s -%s%s\n' "$command" "$short" "${value:+=}"; fi
	done >>"$T/options"
done <"$T/commands"
sort -o "$T/options" "$T/options"
sort "$T/commands" >"$T/commands.sorted"
ok "every command has its --help" test "$(wc -l <"$T/options")" -gt 40
ok "an option with a value is told from a flag" grep -qx 'certificate export --output=' "$T/options"
ok "a flag likewise" grep -qx 'request list --all' "$T/options"
ok "a short form is seen" grep -qx 'certificate export -o=' "$T/options"

# ---------------------------------------------------------------- the man page
sed -n 's/^\.SS expunge //p' "$MAN" | sort >"$T/man.commands"
is "$(lines "$T/commands.sorted" "$T/man.commands")" "" "the man page has every command, and no other"
awk '/^\.SS expunge /{ command = substr($0, 13) }
	/^\.SH/ { command = "" }
	command != "" && /^(\\fB\\-.\\fR, )?\\fB\\-\\-/ {
		gsub(/\\-/, "-")
		n = split($0, part, /\\f[BRI]/)
		value = /\\fI/ ? "=" : ""
		for (i = 1; i <= n; i++)
			if (part[i] ~ /^-/) print command " " part[i] value
	}' "$MAN" | sort >"$T/man.options"
is "$(lines "$T/options" "$T/man.options")" "" "the man page has every option of every command, and no other"

# what the synopsis of each command says of its options
awk '/^\.SS expunge /{ command = substr($0, 13); inside = 1; next }
	/^\.PP|^\.SH/ { inside = 0 }
	inside && /^\.RB \[ \\-\\-/ { gsub(/\\-/, "-"); name = $3; getline following; value = ""
		if ($4 == "") value = "="
		print command " " name value
		if (following ~ /^\.RB \[/) { $0 = following; gsub(/\\-/, "-"); print command " " $3 ($4 == "" ? "=" : "") }
		else if (following ~ /^\.PP/) inside = 0 }' "$MAN" | sort >"$T/man.synopsis"
is "$(lines <(grep -v ' -[a-z]=*$' "$T/options") "$T/man.synopsis")" "" "so has each synopsis"

if command -v man >/dev/null; then
	is "$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$MAN" 2>&1 >/dev/null)" "" "man finds nothing to complain about"
else
	skip "man finds nothing to complain about" "man is not installed"
fi

# ---------------------------------------------------------------- the completion
ok "the completion is a bash script" bash -n "$COMPLETION"
awk "/^_expunge_table='/ { inside = 1; next } /^'/ { inside = 0 } inside" "$COMPLETION" >"$T/table"
sed 's/:.*//' "$T/table" | sort >"$T/completion.commands"
is "$(lines "$T/commands.sorted" "$T/completion.commands")" "" "the completion has every command, and no other"
awk -F': *' '{ n = split($2, option, " "); for (i = 1; i <= n; i++) print $1 " " option[i] }' "$T/table" | sort >"$T/completion.options"
is "$(lines "$T/options" "$T/completion.options")" "" "the completion has every option of every command, and no other"

complete_words() { # the completions of these words, the last one unfinished
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _expunge; printf "%s\n" "${COMPREPLY[@]}"' - "$COMPLETION" "$@" | sort | tr '\n' ' '
}
is "$(complete_words expunge req)" "request " "a first word is completed"
is "$(complete_words expunge -c /x request ex)" "extend " "a second word, after an option and its value"
is "$(complete_words expunge request decide --a)" "--accept " "an option"
is "$(complete_words expunge certificate export --format '')" "csv json notes " "a value"
is "$(complete_words expunge certificate export --format = n)" "notes " "a value after an equals sign"
is "$(complete_words expunge hold place --kind po)" "police-or-court " "a kind of hold"
is "$(complete_words expunge nosuch '')" " " "nothing for a command that is none"

# choices that the program refuses otherwise are those that the completion offers
"$EXPUNGE" hold place --help | sed -n 's/^  --kind K *//p' | tr -d ',' | tr ' ' '\n' | sort | tr '\n' ' ' >"$T/kinds"
is "$(complete_words expunge hold place --kind '')" "$(cat "$T/kinds")" "the kinds of hold are the same in help and completion"

# ---------------------------------------------------------------- the settings
# names in the sample, whether they are commented out or not; comments are prose with a blank behind #
awk '/^[a-z_]+ : \{/ { group = $1 "."; next } /^\};/ { group = ""; next }
	/^\t?#?[a-z_]+ = / { sub(/^\t?#?/, ""); print group $1 }' "$ROOT/etc/expunge.conf" | sort >"$T/settings"
ok "the sample has settings" test "$(wc -l <"$T/settings")" -gt 20
awk '/^\.SH/ { inside = /CONFIGURATION/ } inside && /^\.B [a-z_.]+$/ && before == ".TP" { print $2 } { before = $0 }' "$MAN" | sort >"$T/man.settings"
is "$(lines "$T/settings" "$T/man.settings")" "" "the man page has every setting of etc/expunge.conf, and no other"

# ---------------------------------------------------------------- exit codes
for code in 0 1 2 3 4 5; do
	ok "the man page explains exit code $code" awk -v code="$code" '/^\.SH/ { inside = /EXIT STATUS/ }
		inside && $0 == ".B " code { found = 1 } END { exit !found }' "$MAN"
done

# ---------------------------------------------------------------- usage errors
usage() { # usage NAME HINTED WORD...: exit 2, a message, nothing on stdout, and a hint where one helps
	run "$EXPUNGE" "${@:3}"
	if [ "$RC" = 2 ] && [ -z "$OUT" ] && [ -n "$ERR" ] && { [ "$2" != hint ] || grep -q 'hint:' "$T/err"; }; then
		verdict true "$1"
	else
		verdict false "$1"
		show_run
	fi
}
usage "no command" hint
usage "an unknown command" hint frobnicate
usage "a group without its second word" hint request
usage "an unknown second word" hint request frobnicate
usage "an unknown option" hint status --frobnicate
usage "an unknown option before the command" hint --frobnicate status
usage "an unknown letter" hint status -x
usage "a letter of another command" hint certificate list -o x
usage "a value that is missing" no request erase --tenant
usage "a short option's value that is missing" no certificate export -o
usage "a value for a flag" no status --json=yes
usage "an option twice" no request erase --tenant 1 --tenant 2
usage "a short and a long form of one option" no certificate export -o a --output b
usage "a value that is not a choice" no certificate export --format xml
usage "a choice cut short" no certificate export --format not
usage "an argument too many" hint status now
usage "an argument too few" hint request show
usage "no configuration there" no -c "$T/none.conf" status

fresh_db none template0
configure "$T/etc" none
usage "a malformed date" no -c "$CONF" -U postgres request erase --tenant 1 --subject 1 --ground 17-1-b --received 1.2.2026
printf 'frobnicate = 1;\n' >>"$CONF"
usage "a setting that is none" no -c "$CONF" status
err_like "expunge.conf:[0-9]+: frobnicate is not a setting" "is named with its line"

run "$EXPUNGE" help request decide
rc_is 0 "help as a word"
out_like '^usage: expunge request decide' "says the same as --help"
run "$EXPUNGE" help
out_like '^usage: expunge ' "alone, too"
run "$EXPUNGE" -V
out_like '^expunge [0-9]' "the version in short"
run "$EXPUNGE" -c "$T/nowhere.conf" status
is "$RC $(grep -c 'nowhere.conf' "$T/err")" "2 1" "a configuration that is not there is told of once"
run "$EXPUNGE" request --help
rc_is 0 "help of a group"
run "$EXPUNGE" --version
out_like '^expunge [0-9]+\.[0-9]+\.[0-9]+ \(([0-9a-f]+(-dirty)?|unknown)\)$' "--version"

# ---------------------------------------------------------------- what a build is made of
if command -v git >/dev/null; then
	mkdir "$T/tree"
	cp "$ROOT/Makefile" "$ROOT/CHANGELOG" "$T/tree/"
	in_tree() { git -C "$T/tree" -c user.name=a -c user.email=a@example.org -c init.defaultBranch=main "$@" >/dev/null; }
	commit() { make -s -C "$T/tree" -pn uninstall 2>/dev/null | sed -n 's/^COMMIT := //p'; }
	is "$(commit)" unknown "no repository: the commit is unknown"
	in_tree init && in_tree add -A && in_tree commit -m one
	is "$(commit)" "$(git -C "$T/tree" rev-parse --short=12 HEAD)" "the commit"
	in_tree tag -a v1 -m one
	echo >>"$T/tree/CHANGELOG"
	is "$(commit)" "$(git -C "$T/tree" rev-parse --short=12 HEAD)-dirty" "and that the tree was modified"
else
	skip "the commit of a build" "no git"
fi

run bash -c '"$EXPUNGE" --help >/dev/full'
rc_is 1 "help that cannot be written is a failure"

done_testing
