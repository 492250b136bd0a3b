# Expunge: `make` builds, `make check` installs what is missing and runs all tests, `make demo`
# shows the whole path on sample practices. See README.md.

PREFIX     ?= /usr
SYSCONFDIR ?= /etc/expunge
MANDIR     ?= $(PREFIX)/share/man
B          ?= build

VERSION := $(shell sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG | head -n 1)
COMMIT  := $(shell git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)

CC      ?= gcc
WARN    := -Wall -Wextra -Werror -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
HARDEN  := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
OPT     ?= -O2 -g
PKGS    := libpq libconfig libcrypto jansson libzstd libcurl
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) p11-kit-1 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CPPFLAGS = -D_GNU_SOURCE -I. -Ilib -I$(B)/gen
CFLAGS   = -std=gnu11 $(OPT) $(WARN) $(HARDEN) $(SANITIZE) -MMD -MP
Q := $(if $(V),,@)
LDFLAGS  = -pie -Wl,-z,relro,-z,now $(SANITIZE)

LIB_SRC  := $(sort $(wildcard lib/*/*.c))
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o) $(B)/gen/query.o $(B)/gen/schema.o
JOB_SRC  := $(sort $(wildcard jobs/*.c))
JOB_OBJ  := $(JOB_SRC:%.c=$(B)/%.o)
UNIT_SRC := $(sort $(wildcard tests/unit/*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/unit/%)
RACE_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out %/gate.c %/leaves.c,$(wildcard tests/race/*.c)))
QUERIES  := $(sort $(wildcard sql/query/*.sql))
SCHEMAS  := $(sort $(wildcard sql/schema/*.sql)) $(sort $(wildcard sql/api/*.sql))

all: $(B)/expunge

$(B)/expunge: $(JOB_OBJ) $(B)/libexpunge.a | $(B)/layers.ok
	@echo '  LD    $@'
	$(Q)$(CC) $(LDFLAGS) -o $@.tmp $(JOB_OBJ) $(B)/libexpunge.a $(PKG_LIBS) && mv $@.tmp $@

$(B)/libexpunge.a: $(LIB_OBJ)
	@echo '  AR    $@'
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)

# what is compiled in from the command line: a change builds jobs/ again
$(B)/places: FORCE
	@mkdir -p $(@D)
	@echo '$(SYSCONFDIR) $(VERSION)' | cmp -s - $@ || echo '$(SYSCONFDIR) $(VERSION)' > $@
$(JOB_OBJ): $(B)/places
# the program says which sources it is made of: also after another commit, or an edit that none of its files depends on
$(B)/commit: FORCE
	@mkdir -p $(@D)
	@echo '$(COMMIT)' | cmp -s - $@ || echo '$(COMMIT)' > $@
$(B)/jobs/expunge.o: $(B)/commit
FORCE:

$(B)/%.o: %.c | $(B)/gen/query.h
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(if $(filter jobs/%,$<),-DEXPUNGE_VERSION='"$(VERSION)"' -DEXPUNGE_COMMIT='"$(COMMIT)"' -DEXPUNGE_CONF='"$(SYSCONFDIR)/expunge.conf"') -c -o $@ $<

$(B)/gen/%.o: $(B)/gen/%.c $(B)/gen/query.h
	@echo '  CC    $<'
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -c -o $@ $<

# each statement of sql/query becomes one struct query; each file of sql/schema and sql/api a string
$(B)/gen/query.h: sql/compile.awk sql/query $(QUERIES)
	@mkdir -p $(B)/gen
	$(Q)awk -v mode=header -f sql/compile.awk $(QUERIES) > $@.tmp && mv $@.tmp $@
$(B)/gen/query.c: sql/compile.awk sql/query $(QUERIES)
	@mkdir -p $(B)/gen
	$(Q)awk -v mode=query -f sql/compile.awk $(QUERIES) > $@.tmp && mv $@.tmp $@
$(B)/gen/schema.c: sql/compile.awk sql/schema sql/api $(SCHEMAS)
	@mkdir -p $(B)/gen
	$(Q)awk -v mode=schema -f sql/compile.awk $(SCHEMAS) > $@.tmp && mv $@.tmp $@

# includes point downward only; library headers stay in lib/svc; banned calls fail the build
$(B)/layers.ok: tests/layers.sh $(LIB_SRC) $(JOB_SRC) $(wildcard lib/*/*.h)
	@mkdir -p $(B)
	$(Q)sh tests/layers.sh && touch $@

$(B)/tests/unit/%: tests/unit/%.c $(B)/libexpunge.a
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(filter %.o,$^) $(B)/libexpunge.a $(PKG_LIBS) $$(pkg-config --cflags --libs check)

# the same tests with a fake libpq, whose functions hide those of the library, and with the real one
$(B)/tests/unit/test_db_fake: $(B)/tests/fake/libpq.o
$(B)/tests/fake/test_db_real: tests/unit/test_db_fake.c $(B)/libexpunge.a
	@mkdir -p $(@D)
	@echo '  CC    $@ (REAL_LIBPQ)'
	$(Q)$(CC) -DREAL_LIBPQ $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(B)/libexpunge.a $(PKG_LIBS) $$(pkg-config --cflags --libs check)

# without $(HARDEN): its headers would define the functions that are to be defined here
$(B)/tests/crash/interpose.so: tests/crash/interpose.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) -D_GNU_SOURCE $(PKG_CFLAGS) -std=gnu11 $(OPT) $(WARN) -fPIC -shared -o $@ $<

# a PKCS#11 module that fails one call of another
$(B)/tests/fake/pkcs11.so: tests/fake/pkcs11.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) -D_GNU_SOURCE $(PKG_CFLAGS) -std=gnu11 $(OPT) $(WARN) -fPIC -shared -o $@ $<

# a user for a mail server that is not installed
$(B)/tests/fake/passwd.so: tests/fake/passwd.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 $(OPT) $(WARN) -fPIC -shared -o $@ $<

# another time of day, for a program and for a server
$(B)/tests/fake/clock.so: tests/fake/clock.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 $(OPT) $(WARN) -fPIC -shared -o $@ $<

units: $(UNIT_BIN) $(B)/tests/crash/interpose.so $(B)/tests/fake/pkcs11.so $(B)/tests/fake/passwd.so $(B)/tests/fake/clock.so $(B)/tests/fuzz/replay $(B)/tests/race/race $(B)/tests/race/leaves $(B)/tests/race/gate.so $(B)/tests/fake/test_db_real

# races: expunge under a gate that holds each statement back, and those who meddle meanwhile
$(B)/tests/race/gate.so: tests/race/gate.c tests/race/gate.h
	@mkdir -p $(@D)
	@echo '  LD    $@'
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) -std=gnu11 $(OPT) $(WARN) -fPIC -shared -o $@ $<

$(B)/tests/race/race: $(RACE_OBJ)
	@echo '  LD    $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(B)/tests/race/leaves: $(B)/tests/race/leaves.o $(B)/tests/race/thread.o $(B)/tests/race/clinic.o $(B)/libexpunge.a
	@echo '  LD    $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# fuzz targets: all in one program that replays the seeds, or one program each with libFuzzer (clang)
FUZZ_NAMES := $(shell sed -n 's/^\tX(\([a-z]*\)).*/\1/p' tests/fuzz/fuzz.h)
FUZZ_OBJ   := $(patsubst %.c,$(B)/%.o,$(filter-out %/libfuzzer.c %/replay.c,$(wildcard tests/fuzz/*.c)))
FUZZ_REST  = $(B)/tests/fuzz/jobs.o $(filter-out $(B)/jobs/expunge.o,$(JOB_OBJ)) $(B)/libexpunge.a
FUZZ_LIBS  = -Wl,--wrap=db_query,--wrap=db_text $(PKG_LIBS)

$(B)/tests/fuzz/jobs.o: $(B)/jobs/expunge.o
	@mkdir -p $(@D)
	$(Q)objcopy --redefine-sym main=expunge_main $< $@

$(B)/tests/fuzz/replay: $(B)/tests/fuzz/replay.o $(FUZZ_OBJ) $(FUZZ_REST)
	@echo '  LD    $@'
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(FUZZ_LIBS)

$(B)/libfuzzer-%: tests/fuzz/libfuzzer.c $(FUZZ_OBJ) $(FUZZ_REST)
	@echo '  LD    $@'
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -DFUZZ_TARGET=fuzz_$* $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(FUZZ_LIBS)

fuzzers: $(FUZZ_NAMES:%=$(B)/libfuzzer-%)

# FUZZ_SECONDS=60 a target, two at a time; ONLY=name fuzzes one. Findings stay in $(B)/fuzz/findings.
fuzz:
	tests/setup/packages.sh fuzz
	$(MAKE) B=$(B)/fuzz CC=clang HARDEN=-fPIE OPT='-O1 -g -fno-omit-frame-pointer' \
	  SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined' fuzzers
	tests/fuzz/run.sh $(B)/fuzz $(ONLY)

# compilers with all warnings, then clang-tidy, cppcheck, the format, shell scripts; ONLY=tidy runs one of those
lint:
	tests/setup/packages.sh lint
	$(MAKE) all units
	$(MAKE) B=$(B)/lint CC=clang all units
	ONLY='$(ONLY)' tests/lint/run.sh $(B)/lint

# lines and branches of lib/ that the tests reach; fails below what tests/coverage.sh says
coverage:
	tests/setup/packages.sh coverage
	$(MAKE) B=$(B)/coverage CC=gcc HARDEN=-fPIE OPT='-O0 -g' SANITIZE='--coverage -fprofile-update=atomic' all units
	tests/coverage.sh $(B)/coverage $(UNIT_BIN:$(B)/%=$(B)/coverage/%) $(B)/coverage/tests/fuzz/replay $(filter-out %/72-install.sh,$(sort $(wildcard tests/integration/*.sh)))

memcheck:
	tests/setup/packages.sh memcheck
	$(MAKE) all units
	tests/memcheck.sh $(UNIT_BIN) $(B)/tests/fuzz/replay

debug:
	$(MAKE) B=$(B)/debug OPT='-O1 -g -fno-omit-frame-pointer' SANITIZE='-fsanitize=address,undefined' all units

check:
	tests/setup/packages.sh test
	$(MAKE) all units
	EXPUNGE=$(abspath $(B))/expunge tests/run $(UNIT_BIN) $(B)/tests/fuzz/replay $(sort $(wildcard tests/integration/*.sh))

# what make check samples, at length, and all that is not in it: some hours
check-full:
	HISTORIES=1000 HISTORIES_AT_ONCE=50 KILL_ROUNDS=100 RACE_ROUNDS=300 LEAF_ROUNDS=10000 CRASH_SAMPLE=100 CRASH_ONLY=nightly,erase,init,plan,export,freeze,adopt TEST_TIMEOUT=7200 $(MAKE) check
	$(MAKE) check-gnumed
	$(MAKE) check-closure
	$(MAKE) check-recovery
	$(MAKE) check-year
	$(MAKE) lint
	$(MAKE) mutants
	FUZZ_SECONDS=600 $(MAKE) fuzz

# the program broken in one place after the other: a test must notice each; ONLY="name name", SAMPLE=n SEED=n
mutants:
	tests/setup/packages.sh test
	$(MAKE) all
	tests/mutation/run.sh $(ONLY)

# tests/integration/64-closure.sh at the size of doc/keys.md: six minutes
check-closure:
	tests/setup/packages.sh test
	$(MAKE) all
	CLOSURE_TENANTS=20 CLOSURE_PATIENTS=50 CLOSURE_NIGHTS=30 CLOSURE_ERASURES=5 CLOSURE_BRUTE=1 TEST_TIMEOUT=7200 \
	  EXPUNGE=$(abspath $(B))/expunge tests/run tests/integration/64-closure.sh

# tests/integration/28-year.sh with a thousand practices for a year, over both changes of the clocks and a 29th of February: half an
# hour; SEED=n repeats one
check-year:
	tests/setup/packages.sh test
	$(MAKE) all $(B)/tests/fake/clock.so $(B)/tests/crash/interpose.so
	YEAR_TENANTS=1000 YEAR_NIGHTS=365 YEAR_SHARE=40 TEST_TIMEOUT=14400 EXPUNGE=$(abspath $(B))/expunge tests/run tests/integration/28-year.sh

# tests/integration/66-recovery.sh for thirty nights: ten minutes
check-recovery:
	tests/setup/packages.sh test
	$(MAKE) all
	RECOVERY_TENANTS=3 RECOVERY_NIGHTS=30 TEST_TIMEOUT=7200 EXPUNGE=$(abspath $(B))/expunge tests/run tests/integration/66-recovery.sh

check-gnumed:
	tests/setup/packages.sh test
	$(MAKE) all
	EXPUNGE=$(abspath $(B))/expunge tests/run tests/gnumed/check.sh tests/gnumed/restore.sh

# every operation of a job stopped and disturbed; ONLY=job SAMPLE=n SEED=n MODES=kill CASE=job:mode@n: see
# tests/crash/run.sh
crash:
	tests/setup/packages.sh test
	$(MAKE) all $(B)/tests/crash/interpose.so
	EXPUNGE=$(abspath $(B))/expunge tests/crash/run.sh

# ratios against what a user would otherwise do, on a cluster with durable writes; ONLY=name runs one
bench:
	tests/setup/packages.sh test
	$(MAKE) all
	EXPUNGE=$(abspath $(B))/expunge tests/bench/run.sh $(ONLY)

demo:
	tests/setup/packages.sh demo
	$(MAKE) all
	EXPUNGE='$(B)/expunge' tests/demo.sh

# what is there already, an operator has made his own: configuration, maps and notices are never overwritten
UNITS  := $(notdir $(wildcard etc/systemd/*))
PLACES = -e "s|/usr/bin/expunge|$(PREFIX)/bin/expunge|g" -e "s|/etc/expunge/|$(SYSCONFDIR)/|g"

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(SYSCONFDIR)/maps $(DESTDIR)$(SYSCONFDIR)/notices $(DESTDIR)$(MANDIR)/man1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/doc/expunge \
	  $(DESTDIR)/lib/systemd/system $(DESTDIR)/etc/cron.d $(DESTDIR)/usr/lib/sysusers.d
	install -m 755 $(B)/expunge $(DESTDIR)$(PREFIX)/bin/expunge
	test -e $(DESTDIR)$(SYSCONFDIR)/expunge.conf || install -m 640 etc/expunge.conf $(DESTDIR)$(SYSCONFDIR)/expunge.conf
	for map in etc/maps/*.conf; do test -e $(DESTDIR)$(SYSCONFDIR)/maps/$${map##*/} || \
	  install -m 644 $$map $(DESTDIR)$(SYSCONFDIR)/maps/; done
	for notice in etc/notices/*; do test -e $(DESTDIR)$(SYSCONFDIR)/notices/$${notice##*/} || \
	  install -m 644 $$notice $(DESTDIR)$(SYSCONFDIR)/notices/; done
	install -m 644 doc/expunge.1 $(DESTDIR)$(MANDIR)/man1/expunge.1
	install -m 644 etc/completion/expunge $(DESTDIR)$(PREFIX)/share/bash-completion/completions/expunge
	install -m 644 README.md CHANGELOG LICENSE doc/*.md doc/*.sh doc/*.py doc/*.note doc/*.pem doc/*.sig doc/*.signers $(DESTDIR)$(PREFIX)/share/doc/expunge/
	for unit in $(UNITS); do sed $(PLACES) etc/systemd/$$unit > $(DESTDIR)/lib/systemd/system/$$unit && \
	  chmod 644 $(DESTDIR)/lib/systemd/system/$$unit || exit 1; done
	install -m 644 etc/sysusers.d/expunge.conf $(DESTDIR)/usr/lib/sysusers.d/expunge.conf
	sed $(PLACES) etc/cron.d/expunge > $(DESTDIR)/etc/cron.d/expunge
	chmod 644 $(DESTDIR)/etc/cron.d/expunge

# all but what is the operator's own: configuration, maps, notices, keys, state, ledger, certificates
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/expunge $(DESTDIR)$(MANDIR)/man1/expunge.1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/expunge \
	  $(UNITS:%=$(DESTDIR)/lib/systemd/system/%) \
	  $(DESTDIR)/etc/cron.d/expunge $(DESTDIR)/usr/lib/sysusers.d/expunge.conf
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/expunge

clean:
	rm -rf $(B)

.PHONY: FORCE all units fuzzers fuzz lint coverage memcheck debug check check-full check-gnumed check-closure check-recovery check-year crash mutants bench demo install uninstall clean
-include $(LIB_OBJ:.o=.d) $(JOB_OBJ:.o=.d) $(UNIT_BIN:=.d) $(FUZZ_OBJ:.o=.d) $(B)/tests/fuzz/replay.d $(RACE_OBJ:.o=.d)
