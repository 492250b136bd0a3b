#!/usr/bin/env bash
# Random histories of consents, visits, test patients and real use, with nights that are killed and practices that go on working
# meanwhile. Nobody who was used is ever deleted, nobody who was not outlives the night after its time, no session exists outside
# a consent, and no event ever changes. HISTORIES=1000 for the long run; SEED repeats one.
. "$(dirname "$0")/../lib.sh"
HISTORIES=${HISTORIES:-24}
ROUND=${HISTORIES_AT_ONCE:-12} # for one night
SEED=${SEED:-$RANDOM}
RANDOM=$SEED
note "SEED=$SEED"
fresh_db clinic
install clinic
sed -i 's/subjects_per_run = 50/subjects_per_run = 5000/' "$CONF"
mkrole desk expunge_support expunge_intake app_owner # speaks for everybody
sql clinic "INSERT INTO expunge.tenant_login SELECT 'desk', n::text FROM generate_series(1, 3) n" "INSERT INTO expunge.staff_login VALUES ('desk')" \
	"CREATE TABLE public.truth (patient bigint, id uuid, consent uuid, touched boolean NOT NULL DEFAULT false, revoked boolean NOT NULL DEFAULT false, due boolean NOT NULL DEFAULT false)" \
	"CREATE TABLE public.seen (number bigint, text text)" "GRANT ALL ON public.truth TO desk" "GRANT SELECT ON public.truth TO expunge_owner"
# the application's tables only: a test's own are nobody's rows
sed 's|^tables = (|&\n  { table = "public.truth"; action = "none"; reason = "of the test"; }, { table = "public.seen"; action = "none"; reason = "of the test"; },|' \
	"$ROOT/etc/maps/sample.conf" >"$T/map.conf"
sed -i "s|^map = .*|map = \"$T/map.conf\";|" "$CONF"
expunge_as postgres init 2>"$T/null"

use=(
	"INSERT INTO app.appointment (patient_id, starts_at) VALUES (:p, now())"
	"INSERT INTO app.letter (patient_id, scan) VALUES (:p, 'x')"
	"INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'hello', 'patient', :'p')"
	"INSERT INTO app.invoice (id, patient_id, total) VALUES ('H-' || :p, :p, 1)"
	"UPDATE app.patient SET phone = '07700 900000' WHERE id = :p"
	"WITH g AS (INSERT INTO app.guarantor (practice_id, name) VALUES (1, 'Payer') RETURNING id) INSERT INTO app.patient_guarantor SELECT :p, id FROM g"
)
chance() { [ $((RANDOM % 100)) -lt "$1" ]; }

# history N: what the staff and a practice do, as a script for psql; what must come of it stands in public.truth
history_of() {
	local tenant=$((RANDOM % 3 + 1)) i
	printf "SET expunge.staff = 'staff-%s';\n\\\\unset s\n\\\\unset c\n" "$1"
	if chance 90; then
		printf "SELECT expunge_api.grant_support_consent('%s', now() + interval '%s minutes', 'h%s', 'records') AS c \\\\gset\n" "$tenant" $((RANDOM % 300 + 1)) "$1"
		if chance 10; then printf "SELECT expunge_api.revoke_support_consent(:'c') AS n \\\\gset\n"; fi
	fi
	printf "SELECT expunge_api.open_support_session('%s', 'h%s', '%s', 'x') AS s \\\\gset\n\\\\if :{?s}\n" "$tenant" "$1" "$(chance 90 && echo records || echo settings)"
	for ((i = RANDOM % 3; i >= 0; i--)); do
		printf "INSERT INTO app.patient (practice_id, given_name, family_name, born) VALUES (%s, 'Test', 'History', '1980-01-01') RETURNING id AS p \\\\gset\n" "$tenant"
		printf "SELECT expunge_api.register_test_subject(:'s', '%s', :'p') AS x \\\\gset\nINSERT INTO public.truth VALUES (:p, :'x', :'c');\n" "$tenant"
		if chance 20; then printf "INSERT INTO app.reminder (patient_id, due_on, channel) VALUES (:p, '2026-01-01', 'sms');\n"; fi
		if chance 40; then printf '%s;\nUPDATE public.truth SET touched = true WHERE patient = :p;\n' "${use[RANDOM % ${#use[@]}]}"; fi
	done
	if chance 15; then printf "SELECT expunge_api.revoke_support_consent(:'c') AS n \\\\gset\nUPDATE public.truth SET revoked = true WHERE consent = :'c';\n"; fi
	if chance 60; then printf "SELECT expunge_api.close_support_session(:'s') AS n \\\\gset\n"; fi
	printf '\\endif\n'
}
# the practices go on: an appointment that could be made is a use, whatever the night is doing
work() {
	local patient
	sql clinic "SELECT patient FROM public.truth ORDER BY md5(patient || '$SEED$1') LIMIT 6" | while read -r patient; do
		psql -XAtq -U desk -d clinic -v p="$patient" <<-'SQL' >>"$T/work.log" 2>&1 || true
			\set ON_ERROR_STOP on
			BEGIN;
			INSERT INTO app.appointment (patient_id, starts_at) VALUES (:p, now());
			UPDATE public.truth SET touched = true WHERE patient = :p;
			COMMIT;
		SQL
		sleep 0.1
	done
}
events="SELECT e.number, (CASE e.kind WHEN 'test-subject-registered' THEN to_jsonb(e) - 'until' ELSE to_jsonb(e) END)::text FROM expunge.support_event e"

kills=0 n=0
for ((round = 1; n < HISTORIES; round++)); do
	for ((i = 0; i < ROUND; i++)); do
		n=$((n + 1))
		history_of $n
	done >"$T/script.sql"
	psql -XAtq -U desk -d clinic -f "$T/script.sql" >"$T/script.log" 2>&1 || true
	# most of those that there are have come of age; this is the only hand that is laid on an event
	sql clinic "UPDATE public.truth SET due = true WHERE NOT due AND random() < 0.9" "SET ROLE expunge_owner" \
		"UPDATE expunge.support_event e SET until = now() - interval '1 second' FROM public.truth t WHERE e.id = t.id AND t.due AND e.kind = 'test-subject-registered' AND e.until > now()"
	work $round &
	worker=$!
	for ((k = 0; k < 3; k++)); do
		"$EXPUNGE" -c "$CONF" -U night nightly >"$T/night.log" 2>&1 & # itself, not a shell around it
		victim=$!
		sleep "0.$((RANDOM % 9 + 1))"
		if kill -9 "$victim" 2>/dev/null; then kills=$((kills + 1)); fi
		wait "$victim" 2>/dev/null || true
	done
	wait "$worker"
	# the server finds out a little later that somebody has died
	for ((k = 0; k < 20; k++)); do
		run expunge_as night nightly
		if [ "$RC" = 0 ]; then break; fi
		sleep 0.5
	done
	rc_is 0 "round $round: the night comes to its end"
	is "$(sql clinic "SELECT count(*) FROM public.truth t WHERE t.touched AND NOT EXISTS (SELECT FROM app.patient p WHERE p.id = t.patient)")" 0 \
		"round $round: nobody who was used is deleted"
	is "$(sql clinic "SELECT count(*) FROM public.truth t JOIN app.patient p ON p.id = t.patient WHERE t.due AND NOT t.touched AND NOT t.revoked")" 0 \
		"round $round: nobody else outlives the night after its time"
	is "$(sql clinic "SELECT count(*) FROM public.truth t WHERE (t.revoked OR NOT t.due) AND NOT EXISTS (SELECT FROM app.patient p WHERE p.id = t.patient)")" 0 \
		"round $round: nor goes anybody before, or without consent"
	is "$(sql clinic "SELECT count(*) FROM public.seen s LEFT JOIN ($events) e(number, text) USING (number) WHERE s.text IS DISTINCT FROM e.text")" 0 \
		"round $round: no event has changed"
	sql clinic "INSERT INTO public.seen $events WHERE e.number > coalesce((SELECT max(number) FROM public.seen), 0)"
done
note "$n histories, $kills nights killed"
is "$(sql clinic "SELECT count(*) FROM expunge.support_event s WHERE s.kind = 'session-opened' AND NOT EXISTS (
	SELECT FROM expunge.support_event c WHERE c.id = s.of AND c.kind = 'consent-granted' AND c.tenant = s.tenant AND c.ticket = s.ticket AND c.scope = s.scope
	  AND c.at <= s.at AND s.until <= c.until AND coalesce(c.staff, s.staff) = s.staff
	  AND NOT EXISTS (SELECT FROM expunge.support_event x WHERE x.id = c.id AND x.kind = 'consent-revoked' AND x.at <= s.at))")" 0 "no session outside a consent"
is "$(sql clinic "SELECT count(*) FROM expunge.support_event x JOIN expunge.support_event s ON s.of = x.id AND s.kind = 'session-opened'
	WHERE x.kind = 'consent-revoked' AND NOT EXISTS (SELECT FROM expunge.support_event e WHERE e.id = s.id AND e.kind IN ('session-closed', 'session-ended') AND e.at <= x.at)")" \
	0 "and none outlives its revocation"
erased=$(sql clinic "SELECT count(*) FROM expunge.support_event WHERE kind = 'test-subject-erased'")
is "$(grep -l '^kind: test-subject$' "$T"/clinic/certificates/*.note | wc -l)" "$erased" "each that was erased has its certificate"
ok "some were ($erased)" test "$erased" -gt 3
ok "and some were kept" test "$(sql clinic "SELECT count(*) FROM expunge.support_event WHERE kind = 'test-subject-quarantined'")" -gt 3
done_testing
