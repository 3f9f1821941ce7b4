#!/usr/bin/env bash
# Debian's newest CPythons beside the machine's own, each to be run as it lies:
#
#   debian.sh [CACHE/] [VERSION...]    3.14, 3.15, 3.15-dbg; default 3.14 3.15
#
# makes CACHE/bin/python3.14, python3.15d and so on, and CACHE/venv VERSION FOLDER,
# which makes a virtual environment with pip: -m venv finds none there.
. "$(dirname "$0")/lib.sh"
if is_cache "${1:-}"; then cache "$1"; shift; else cache; fi
[ $# -gt 0 ] || set -- 3.14 3.15

pythons=() packages=()
for version in "$@"; do
	python=$CACHE/bin/python${version/-dbg/d}
	pythons+=("$python")
	runs "$python" || packages+=("python$version" "libpython${version%-dbg}-dev")
done

if [ ${#packages[@]} -gt 0 ]; then
	root=$CACHE/sid-$machine
	host_packages patchelf
	use_suite sid "$machine"
	unpack "$root" "${packages[@]}" python3-pip-whl libstdc++6

	# The suite's own C library, by its place, so that they run on an older system.
	# DT_RPATH and not DT_RUNPATH: it serves what extension modules ask for too.
	loader=$(find "$root"/usr/lib* -name 'ld-linux*.so.*' -print -quit)
	libraries=$(dirname "$(find "$root/usr/lib" -name libc.so.6 -print -quit)")
	for program in "$root"/usr/bin/python3.*; do
		[ -f "$program" ] && [ ! -L "$program" ] || continue
		name=${program##*/}
		case $name in *-config) continue ;; esac
		# All of them: what was asked for now may have brought others anew.
		patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" \
			"$program"
		ln -sfn "$program" "$CACHE/bin/$name"
	done

	cat >"$CACHE/venv" <<-END
		#!/bin/sh
		set -e
		"$CACHE/bin/python\$1" -m venv --without-pip "\$2"
		for wheel in "$root"/usr/share/python-wheels/pip-*.whl; do
			"\$2/bin/python" "\$wheel/pip" install -q --no-index "\$wheel"
		done
	END
	chmod +x "$CACHE/venv"
fi

for python in "${pythons[@]}"; do "$python" -VV; done
