#!/usr/bin/env bash
# A CPython for musl, in a root folder with nothing but it, musl and busybox, as the
# small images of Alpine are:
#
#   musl.sh [CACHE/] [VERSION...]    3.9, 3.11, 3.13; default 3.13
#
# makes CACHE/musl-3.13/usr/local/bin/python3, which runs on this machine too, and
# CACHE/musl-3.13.run COMMAND..., which runs a command inside the root: no network
# but loopback, no CA certificates. CACHE/musl-cc is its compiler for extensions.
. "$(dirname "$0")/lib.sh"
if is_cache "${1:-}"; then cache "$1"; shift; else cache; fi
[ $# -gt 0 ] || set -- 3.13

triplet=$(uname -m)-linux-musl

compiler() {
	# musl-gcc names glibc's triplet when asked, which configure takes for a mistake.
	cat >"$CACHE/musl-cc" <<-END
		#!/bin/sh
		[ "\$1" != --print-multiarch ] || exec echo $triplet
		exec musl-gcc "\$@"
	END
	chmod +x "$CACHE/musl-cc"
}

build() {
	local version=$1 folder=$CACHE/building-musl-$1
	rm -rf "$folder"
	mkdir "$folder"
	cp -r "$CACHE/source-zlib" "$folder/zlib"
	mkdir "$folder/python"
	# pkg-config would find glibc's libraries. Of all libraries pip needs zlib only.
	export CC=$CACHE/musl-cc PKG_CONFIG=false
	cd "$folder/zlib"
	CFLAGS='-O2 -fPIC' ./configure --static --prefix="$folder/deps"
	make -s install
	cd "$folder/python"
	"$CACHE/source-$version/configure" -q --prefix=/usr/local \
		--disable-test-modules --with-ensurepip=install OPT='-DNDEBUG -O2' \
		CPPFLAGS="-I$folder/deps/include" LDFLAGS="-L$folder/deps/lib"
	make -s -j"${JOBS:-$(nproc)}"
	make -s install DESTDIR="$CACHE/musl-$version"
	rm -rf "$folder"
}

furnish() {
	local root=$CACHE/musl-$1
	mkdir -p "$root"/{bin,lib,proc,dev,tmp,etc,root}
	cp "/usr/lib/$triplet/libc.so" "$root/lib/ld-musl-$(uname -m).so.1"
	cp "$(command -v busybox)" "$root/bin/busybox"
	chroot "$root" /bin/busybox --install -s /bin
	echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
	echo '127.0.0.1 localhost' >"$root/etc/hosts"
	cat >"$root.run" <<-END
		#!/bin/sh
		exec unshare --net --mount --pid --fork sh -c '
			mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" &&
			exec chroot "$root" /bin/env -i HOME=/root PATH=/usr/local/bin:/bin \\
				/bin/sh -c "ip link set lo up; exec \\"\\\$@\\"" sh "\$@"' sh "\$@"
	END
	chmod +x "$root.run"
}

for version in "$@"; do
	if [ ! -x "$CACHE/musl-$version.run" ] ||
		! runs "$CACHE/musl-$version/usr/local/bin/python3"; then
		host_packages gcc make dpkg-dev musl-tools busybox-static
		compiler
		source_of zlib "$CACHE/source-zlib"
		source_of "python$version" "$CACHE/source-$version"
		log=$CACHE/build-musl-$version.log
		trap 'say "failed: see $log"' ERR
		(build "$version") >"$log" 2>&1
		trap - ERR
		furnish "$version"
	fi
	"$CACHE/musl-$version/usr/local/bin/python3" -VV
done
