# A real mail server on the loopback address, for tests that send notices: exim, run as a user without rights, with its files
# in $MAIL_DIR. And smtp_server.py, for what a real one does not do on demand. Needs tests/lib.sh and sessions.bash.
# shellcheck shell=bash disable=SC2154 # T and ROOT come from lib.sh

MAIL_CERTS=$T/certs
MAIL_DIR=$(mktemp -d "${TMPDIR:-/tmp}/expunge-mail.XXXXXX") # not in $T, which its user cannot enter
chmod 0755 "$MAIL_DIR"

# The authority that the configuration trusts, another one, and certificates for the server.
mail_certificates() {
	local name
	mkdir -p "$MAIL_CERTS"
	for name in ca stranger; do
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$MAIL_CERTS/$name.key" -out "$MAIL_CERTS/$name.pem" \
			-days 2 -subj "/CN=$name" 2>"$T/null"
	done
	mail_certificate good ca DNS:localhost,IP:127.0.0.1
	mail_certificate wrong-name ca DNS:mail.elsewhere.example
	mail_certificate stranger-signed stranger DNS:localhost,IP:127.0.0.1
	mail_certificate expired ca DNS:localhost,IP:127.0.0.1 -not_after 20250101000000Z
}

# mail_certificate NAME AUTHORITY NAMES [EXPIRED]
mail_certificate() {
	local days=(-days 2)
	[ -z "${4:-}" ] || days=(-days -1)
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$MAIL_CERTS/$1.key" -subj "/CN=$1" 2>"$T/null" |
		openssl x509 -req -CA "$MAIL_CERTS/$2.pem" -CAkey "$MAIL_CERTS/$2.key" "${days[@]}" -out "$MAIL_CERTS/$1.pem" \
			-extfile <(printf 'subjectAltName=%s\n' "$3") 2>"$T/null"
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# In the background, so that $! is its own.
exec_as_nobody() {
	if [ "$(id -u)" -eq 0 ]; then
		exec setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups -- "$@"
	else
		exec "$@"
	fi
}

# mail_server_start [CERTIFICATE]: exim on $MAIL_PORT. It delivers to *.example into $MAIL_DIR/mail, refuses nobody@, is
# too busy for busy@, and takes the password of sender.
mail_server_start() {
	local dir=$MAIL_DIR certificate=${1:-good}
	MAIL_PORT=${MAIL_PORT:-$(free_port)}
	mkdir -p "$dir/mail" "$dir/spool"
	[ -e "$dir/exim" ] || cp "$("$ROOT/tests/setup/exim.sh")" "$dir/exim"
	cp "$(dirname "$EXPUNGE")/tests/fake/passwd.so" "$dir/passwd.so"
	cp "$MAIL_CERTS/$certificate.pem" "$dir/server.pem"
	cp "$MAIL_CERTS/$certificate.key" "$dir/server.key"
	cat >"$dir/conf" <<-CONF
		exim_path = $dir/exim
		spool_directory = $dir/spool
		log_file_path = $dir/log-%s
		pid_file_path = $dir/pid
		keep_environment = LD_PRELOAD
		primary_hostname = localhost
		domainlist ours = *.example
		local_interfaces = 127.0.0.1
		tls_advertise_hosts = *
		tls_certificate = $dir/server.pem
		tls_privatekey = $dir/server.key
		message_size_limit = 100K
		acl_smtp_mail = sender
		acl_smtp_rcpt = recipient
		acl_smtp_data = content
		begin acl
		sender:
		  deny senders = banned@software.example
		       message = 5.7.1 we do not send for you
		  accept
		recipient:
		  deny local_parts = nobody
		       message = 5.1.1 <\$local_part@\$domain>: no such user here
		  defer local_parts = busy
		        condition = \${if exists{$dir/busy}}
		        message = 4.2.2 the mailbox of \$local_part is full
		  accept domains = +ours
		  accept authenticated = *
		  deny message = 5.7.1 relay not permitted
		content:
		  deny condition = \${if match{\$rh_subject:}{refuse}}
		       message = 5.6.0 we do not like the content
		  accept
		begin routers
		all:
		  driver = accept
		  transport = file
		begin transports
		file:
		  driver = appendfile
		  directory = $dir/mail
		  maildir_format
		  envelope_to_add
		  return_path_add
		begin retry
		begin authenticators
		plain:
		  driver = plaintext
		  public_name = PLAIN
		  server_prompts = :
		  server_condition = \${if and{{eq{\$auth2}{sender}}{eq{\$auth3}{let me in}}}}
	CONF
	chmod 0755 "$dir/exim"
	chmod 0644 "$dir/conf" "$dir/server.pem" "$dir/server.key" "$dir/passwd.so"
	[ "$(id -u)" -ne 0 ] || chown -R nobody "$dir/mail" "$dir/spool" "$dir"
	exec_as_nobody env LD_PRELOAD="$dir/passwd.so" "$dir/exim" -C "$dir/conf" -bdf -odi -oX "127.0.0.1.$MAIL_PORT" >"$T/exim.out" 2>&1 &
	MAIL_PID=$!
	await_port "$MAIL_PORT"
}

await_port() {
	local tries
	for ((tries = 0; tries < 200; tries++)); do
		if python3 -c "import socket; socket.create_connection(('127.0.0.1', $1), 1).close()" 2>"$T/null"; then return 0; fi
		sleep 0.1
	done
	cat "$T"/exim.out "$MAIL_DIR"/log-* >&2 || true
	return 1
}

mail_server_stop() {
	[ -z "${MAIL_PID:-}" ] || kill "$MAIL_PID" 2>"$T/null" || true
	wait "${MAIL_PID:-}" 2>"$T/null" || true
	MAIL_PID=
}

# mail_end: the test's own end, for its trap
mail_end() {
	mail_server_stop
	rm -rf -- "$MAIL_DIR"
}

# The messages that have arrived, one a file; forgets them for the next time.
mail_forget() {
	rm -f "$MAIL_DIR"/mail/new/*
}
mail_files() {
	find "$MAIL_DIR/mail" -type f -path '*/new/*' | sort
}
mail_count() {
	mail_files | wc -l
}

mail_await() { # mail_await N: until as many have arrived
	await "$1 messages arrive" mail_arrived "$1"
}
mail_arrived() { [ "$(mail_count)" -ge "$1" ]; }

# mail_configure [LINE]...: $CONF with this server; more settings of the group mail
mail_configure() {
	sed -i '/^mail : {/,/^};/d; /^notices : {/,/^};/d' "$CONF"
	{
		printf 'mail : {\n\tserver = "smtp://localhost:%s";\n\tca_file = "%s";\n\tfrom = "%s";\n' "$MAIL_PORT" "$MAIL_CERTS/ca.pem" \
			"${MAIL_FROM:-privacy@software.example}"
		printf '\ttimeout_seconds = 5;\n'
		[ "$#" -eq 0 ] || printf '\t%s\n' "$@"
		printf '};\nnotices : {\n\tdirectory = "%s";\n};\n' "$T/notices"
	} >>"$CONF"
	[ -d "$T/notices" ] || cp -r "$ROOT/etc/notices" "$T/notices"
}
