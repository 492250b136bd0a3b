#!/usr/bin/env bash
# Makes sure that the packages are there which a build, the tests or the demonstration need:
#
#   packages.sh [build|test|demo|fuzz|lint|coverage|memcheck]      (default: test)
#
# Says nothing when nothing is missing. Otherwise installs it, if that is allowed without asking (root,
# or sudo without a password); if not, prints the one line that a person must run, and exits 1.
# Needs only what a fresh Debian 12 has. EXPUNGE_PACKAGES=present skips everything, for systems
# where the same things come from elsewhere.
set -euo pipefail

pg=${PG_MAJOR:-15}
build=(gcc libc6-dev make pkg-config libpq-dev libconfig-dev libssl-dev libjansson-dev libzstd-dev libcurl4-openssl-dev libp11-kit-dev)
demo=("${build[@]}" "postgresql-$pg" "postgresql-client-$pg" openssl openssh-client procps util-linux tzdata)
tests=("${demo[@]}" check faketime libfaketime jq python3 python3-cryptography awscli rclone restic s3cmd softhsm2 zstd
	libgnutls-dane0 libdb5.3 libidn12 libnsl2) # what exim4 needs, which tests/setup/exim.sh unpacks
fuzz=("${build[@]}" clang libclang-rt-14-dev)
lint=("${build[@]}" check clang clang-tidy clang-format cppcheck shellcheck)
coverage=("${tests[@]}" gcovr)
memcheck=("${tests[@]}" valgrind)

case ${1:-test} in
build) wanted=("${build[@]}") ;;
demo) wanted=("${demo[@]}") ;;
test) wanted=("${tests[@]}") ;;
fuzz) wanted=("${fuzz[@]}") ;;
lint) wanted=("${lint[@]}") ;;
coverage) wanted=("${coverage[@]}") ;;
memcheck) wanted=("${memcheck[@]}") ;;
*)
	echo "usage: packages.sh [build|test|demo|fuzz|lint|coverage|memcheck]" >&2
	exit 2
	;;
esac

if [ "${EXPUNGE_PACKAGES:-}" = present ]; then
	exit 0
fi
if ! command -v dpkg-query >/dev/null; then
	echo "packages.sh: this is not Debian; install what is called there: ${wanted[*]}" >&2
	echo "packages.sh: then set EXPUNGE_PACKAGES=present" >&2
	exit 1
fi

missing=()
for package in "${wanted[@]}"; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
	*' installed') ;;
	*) missing+=("$package") ;;
	esac
done
if [ "${#missing[@]}" -eq 0 ]; then
	exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
	as_root=()
elif sudo -n true 2>/dev/null; then
	as_root=(sudo -n)
else
	echo "packages.sh: missing: ${missing[*]}. Please run:" >&2
	echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
	exit 1
fi

# Debian's server package makes a cluster and starts it; nobody asked for one. A drop-in file says
# no for as long as this installation takes, and a later one by the administrator is as usual.
drop_in=/etc/postgresql-common/createcluster.d/expunge-tests.conf
log=$(mktemp)
clean_up() {
	"${as_root[@]}" rm -f "$drop_in"
	rm -f "$log"
}
trap clean_up EXIT
case " ${missing[*]} " in
*" postgresql-$pg "*)
	"${as_root[@]}" mkdir -p "${drop_in%/*}"
	echo 'create_main_cluster = false' | "${as_root[@]}" tee "$drop_in" >/dev/null
	;;
esac

apt() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
		apt-get -qy -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" </dev/null >"$log" 2>&1
}

echo "installing ${missing[*]}" >&2
# Old package lists name files that the mirror no longer has, so they are renewed first. If that
# fails, the lists that are there may still do.
apt update || echo "packages.sh: apt-get update failed, trying with the lists that are there" >&2
if ! apt install --no-install-recommends "${missing[@]}"; then
	tail -n 20 "$log" >&2
	echo "packages.sh: could not install ${missing[*]}" >&2
	exit 1
fi
