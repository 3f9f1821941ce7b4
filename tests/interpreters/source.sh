#!/usr/bin/env bash
# CPythons that come in no package, built with the machine's compiler from Debian's
# copies of the sources:
#
#   source.sh [CACHE/] [KIND...]    default 3.13t
#
# KIND is a version, then t for free-threaded, d for a debug build. Makes
# CACHE/python-KIND/bin/python3, with headers and pip. JOBS says how many at once.
. "$(dirname "$0")/lib.sh"
if is_cache "${1:-}"; then cache "$1"; shift; else cache; fi
[ $# -gt 0 ] || set -- 3.13t

build() {
	local kind=$1 version=${1%%[td]*} folder=$CACHE/building-$1
	local options=(--prefix="$CACHE/python-$1")
	case $kind in *t | *td) options+=(--disable-gil) ;; esac
	case $kind in
	*d) options+=(--with-pydebug OPT='-O1 -g') ;;
	*) options+=(OPT='-DNDEBUG -O2') ;;
	esac
	# An option that a version does not know is no error to configure.
	options+=(--disable-test-modules)
	rm -rf "$folder"
	mkdir "$folder"
	cd "$folder"
	"$CACHE/source-$version/configure" -q "${options[@]}"
	make -s -j"${JOBS:-$(nproc)}"
	make -s install
	rm -rf "$folder"
}

for kind in "$@"; do
	python=$CACHE/python-$kind/bin/python3
	if ! runs "$python"; then
		host_packages gcc make dpkg-dev zlib1g-dev libffi-dev libssl-dev
		source_of "python${kind%%[td]*}" "$CACHE/source-${kind%%[td]*}"
		log=$CACHE/build-$kind.log
		trap 'say "failed: see $log"' ERR
		(build "$kind") >"$log" 2>&1
		trap - ERR
	fi
	"$python" -VV
done
