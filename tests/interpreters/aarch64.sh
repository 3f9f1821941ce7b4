#!/usr/bin/env bash
# An aarch64 CPython that runs under qemu-user, and its headers:
#
#   aarch64.sh [CACHE/] [SUITE VERSION]    default bookworm 3.11; or sid 3.14
#
# makes CACHE/bin/python3.11-aarch64. It is an emulation, without
# process_vm_readv: good for layouts and logic, not for timing.
. "$(dirname "$0")/lib.sh"
if is_cache "${1:-}"; then cache "$1"; shift; else cache; fi
suite=${1:-bookworm}
version=${2:-3.11}

python=$CACHE/bin/python$version-aarch64
host_packages qemu-user
if ! runs "$python"; then
	root=$CACHE/$suite-arm64
	use_suite "$suite" arm64
	unpack "$root" "python$version" "libpython$version-dev" python3-pip-whl libstdc++6
	cat >"$python.part" <<-END
		#!/bin/sh
		exec qemu-aarch64 -L "$root" "$root/usr/bin/python$version" "\$@"
	END
	chmod +x "$python.part"
	mv "$python.part" "$python"
fi
"$python" -VV
