#!/usr/bin/env bash
# Civil dates: Easter, bank holidays of the three calendars, working days and the due date.
. "$(dirname "$0")/../lib.sh"

sql postgres 'CREATE DATABASE ctl'
"$ROOT/tests/sql/apply.sh" ctl

# ---------------------------------------------------------------- due dates (Art. 12(3), the ICO's reckoning)
while read -r received calendar months want why; do
	is "$(sql ctl "SELECT expunge.due_date('$received', '$calendar', $months)")" "$want" "$received, $calendar, $months: $why"
done <<'VECTORS'
2026-01-31 england-wales    1 2026-03-02 no 31 February, the 28th is a Saturday
2026-03-31 england-wales    1 2026-04-30 no 31 April
2026-09-03 england-wales    1 2026-10-05 a Saturday
2028-01-31 england-wales    1 2028-02-29 a leap year
2026-11-25 england-wales    1 2026-12-29 Christmas, a weekend, Boxing Day's substitute
2026-03-03 england-wales    1 2026-04-07 Good Friday to Easter Monday
2026-03-03 northern-ireland 1 2026-04-07 Good Friday to Easter Monday
2026-03-03 scotland         1 2026-04-06 Easter Monday is a working day there
2026-11-30 england-wales    3 2027-03-01 extended; no 30 February, the 28th is a Sunday
2026-05-15 scotland         1 2026-06-16 proclaimed for one year
2026-05-15 england-wales    1 2026-06-15 in Scotland only
2026-02-17 northern-ireland 1 2026-03-18 St Patrick's Day
2026-02-17 england-wales    1 2026-03-17 a working day elsewhere
2026-06-12 northern-ireland 1 2026-07-14 12 July is a Sunday, its substitute the 13th
2026-10-30 scotland         1 2026-12-01 St Andrew's Day
2026-12-01 scotland         1 2027-01-05 New Year's Day, a weekend, 2 January's substitute
2026-12-01 england-wales    1 2027-01-04 New Year's Day and a weekend
2022-08-19 england-wales    1 2022-09-20 a state funeral
2022-04-30 england-wales    1 2022-05-30 the Monday from which the holiday was moved
2024-01-31 england-wales    1 2024-02-29 a leap year
2023-12-31 england-wales    1 2024-01-31 across the year
VECTORS
is "$(sql ctl "SELECT expunge.due_date('2026-09-03', 'england-wales')")" "2026-10-05" "one month is the default"

# ---------------------------------------------------------------- bank holidays, as published
while read -r calendar year days; do
	is "$(sql ctl "SELECT string_agg(to_char(day, 'MM-DD'), ' ' ORDER BY day) FROM expunge.bank_holidays('$calendar', $year)")" \
		"$days" "$calendar $year"
done <<'YEARS'
england-wales 2020 01-01 04-10 04-13 05-08 05-25 08-31 12-25 12-28
england-wales 2022 01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27
england-wales 2023 01-02 04-07 04-10 05-01 05-08 05-29 08-28 12-25 12-26
england-wales 2025 01-01 04-18 04-21 05-05 05-26 08-25 12-25 12-26
england-wales 2026 01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28
england-wales 2027 01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28
england-wales 2028 01-03 04-14 04-17 05-01 05-29 08-28 12-25 12-26
scotland 2022 01-03 01-04 04-15 05-02 06-02 06-03 08-01 09-19 11-30 12-26 12-27
scotland 2023 01-02 01-03 04-07 05-01 05-08 05-29 08-07 11-30 12-25 12-26
scotland 2024 01-01 01-02 03-29 05-06 05-27 08-05 12-02 12-25 12-26
scotland 2026 01-01 01-02 04-03 05-04 05-25 06-15 08-03 11-30 12-25 12-28
scotland 2027 01-01 01-04 03-26 05-03 05-31 08-02 11-30 12-27 12-28
northern-ireland 2024 01-01 03-18 03-29 04-01 05-06 05-27 07-12 08-26 12-25 12-26
northern-ireland 2026 01-01 03-17 04-03 04-06 05-04 05-25 07-13 08-31 12-25 12-28
YEARS
is "$(sql ctl "SELECT name FROM expunge.bank_holidays('england-wales', 2026) WHERE day = '2026-12-28'")" \
	"Boxing Day (substitute day)" "a substitute is called one"
is "$(sql ctl "SELECT y, c FROM generate_series(2010, 2199) y, unnest(ARRAY['england-wales', 'scotland', 'northern-ireland']) c
	WHERE EXISTS (SELECT FROM expunge.bank_holidays(c, y) h WHERE extract(isodow FROM h.day) >= 6)
	OR (SELECT count(DISTINCT day) <> count(*) OR count(*) < 8 FROM expunge.bank_holidays(c, y))")" "" \
	"for 190 years no holiday falls on a weekend or on another one"

# Easter again, by Knuth's algorithm (The Art of Computer Programming 1, 1.3.2, exercise 14)
awk 'BEGIN {
	for (y = 1900; y <= 2299; y++) {
		g = y % 19 + 1; c = int(y / 100) + 1; x = int(3 * c / 4) - 12; z = int((8 * c + 5) / 25) - 5
		d = int(5 * y / 4) - x - 10; e = (11 * g + 20 + z - x) % 30; if (e < 0) e += 30
		if ((e == 25 && g > 11) || e == 24) e++
		n = 44 - e; if (n < 21) n += 30
		n = n + 7 - (d + n) % 7
		if (n > 31) printf "%d-04-%02d\n", y, n - 31; else printf "%d-03-%02d\n", y, n
	}
}' >"$T/knuth"
sql ctl "SELECT expunge.easter(y) FROM generate_series(1900, 2299) y" >"$T/easter"
ok "Easter agrees with another algorithm for 400 years" cmp "$T/knuth" "$T/easter"

# ---------------------------------------------------------------- one-off holidays are data
sql ctl "INSERT INTO expunge.one_off_holiday (calendar, day, name) VALUES ('england-wales', '2026-10-05', 'proclaimed')"
is "$(sql ctl "SELECT expunge.due_date('2026-09-03', 'england-wales')")" "2026-10-06" "a holiday inserted by an operator counts"
"$ROOT/tests/sql/apply.sh" ctl
is "$(sql ctl "SELECT name FROM expunge.one_off_holiday WHERE day = '2026-10-05'")" "proclaimed" "and stays over an upgrade"

# ---------------------------------------------------------------- civil dates
sql ctl "UPDATE expunge.instance SET zone = 'Europe/London'"
is "$(sql ctl "SELECT expunge.civil_date('2026-03-31T23:30:00Z'), expunge.civil_date('2026-01-31T23:30:00Z')")" \
	"2026-04-01|2026-01-31" "half past eleven at night, UTC, is tomorrow in summer time"
is "$(sql ctl "SET TimeZone = 'Asia/Tokyo'" "SELECT expunge.civil_date('2026-01-31T23:30:00Z')")" "2026-01-31" \
	"the session's own zone does not matter"

# undo_until counts civil days over the change of the clocks and stops at the due day
undo() { # undo DAYS DUE
	sql ctl "UPDATE expunge.instance SET undo_days = $1" \
		"SELECT CASE WHEN u = now() THEN 'now' ELSE to_char(u AT TIME ZONE 'Europe/London' - now() AT TIME ZONE 'Europe/London', 'DD HH24:MI:SS') END
		FROM expunge.undo_until($2) u"
}
is "$(undo 7 "current_date + 30")" "07 00:00:00" "the undo window is seven civil days"
is "$(undo 0 "current_date + 30")" "now" "no window means now"
is "$(sql ctl 'UPDATE expunge.instance SET undo_days = 7' \
	"SELECT expunge.undo_until(expunge.civil_date(now()) + 3) AT TIME ZONE 'Europe/London' = expunge.civil_date(now()) + 3")" "t" \
	"it ends with the beginning of the due day, so that the night's run is in time"
is "$(undo 7 "current_date - 3")" "now" "an overdue request is not kept waiting"

# ---------------------------------------------------------------- refusals
refused() { # refused SQLSTATE EXPRESSION
	local got
	got=$(psql -XAtq -d ctl -v VERBOSITY=sqlstate -c "SELECT $2" 2>&1 | sed -n 's/^ERROR: *//p') || true
	is "$got" "$1" "$2"
}
refused EX215 "expunge.due_date('2026-01-31', 'wales')"
refused EX215 "expunge.due_date('2026-01-31', NULL)"
refused EX216 "expunge.due_date(NULL, 'scotland')"
refused EX216 "expunge.due_date('infinity', 'scotland')"
refused EX216 "expunge.due_date('2026-01-31', 'scotland', 0)"
refused EX216 "expunge.due_date('2026-01-31', 'scotland', NULL)"
refused EX216 "expunge.bank_holidays('scotland', 2009)"
refused EX216 "expunge.due_date('9999-12-31', 'scotland')"
refused EX215 "expunge.bank_holidays('x', 2026)"
sql ctl 'DELETE FROM expunge.instance'
refused EX411 "expunge.civil_date(now())"

done_testing
