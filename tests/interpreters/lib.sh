# What the scripts beside this file share; each sources it first and calls cache.
# They are bash: set -E makes the ERR trap hold in functions and subshells too.
set -Eeuo pipefail

machine=$(dpkg --print-architecture 2>/dev/null || true)

say() { echo "${0##*/}: $*" >&2; }

# cache [FOLDER]: sets CACHE to the folder that everything goes to, and makes it.
cache() {
	local folder=${1:-}
	[ -n "$folder" ] || folder=${CPROF_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/google-cloud-profiler}/interpreters
	mkdir -p "$folder/bin"
	CACHE=$(cd "$folder" && pwd)
	[ -n "$machine" ] || { say "this wants Debian or Ubuntu: apt, dpkg"; exit 1; }
}

# is_cache WORD: the first argument is a folder when it has a slash in it.
is_cache() { case ${1:-} in */*) ;; *) false ;; esac }

# runs PYTHON...: whether all of them are there and start.
runs() {
	local python
	for python in "$@"; do
		[ -x "$python" ] && "$python" -I -S -c '' 2>/dev/null || return 1
	done
}

# host_packages NAME...: installs what this machine lacks of its own packages.
host_packages() {
	local name missing=()
	for name in "$@"; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' ||
			missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || { say "install first: ${missing[*]}"; return 1; }
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends "${missing[@]}" >/dev/null
}

# debian_mirror: whence this machine's apt takes Debian; it knows once it has lists.
debian_mirror() {
	local try found
	for try in as-it-is updated; do
		[ $try = as-it-is ] || apt-get update -qq >&2
		found=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' \
			'Created-By: Packages' |
			awk '$1 == "Debian" && $2 !~ /security/ && !n++ { print $2 }')
		[ -z "$found" ] || { echo "$found"; return; }
	done
	echo http://deb.debian.org/debian
}

# use_suite SUITE ARCH: points apt, in this shell only, at SUITE for ARCH, or for
# "source", with lists and downloads of its own. The package status is empty, so apt
# names all that a package needs, down to the C library.
use_suite() {
	local folder=$CACHE/apt/$1-$2 arch=$2 kind=deb
	[ "$2" != source ] || { arch=$machine; kind=deb-src; }
	mkdir -p "$folder"/{lists,archives}/partial
	: >"$folder/status"
	echo "$kind [arch=$arch] ${DEBIAN_MIRROR:-$(debian_mirror)} $1 main" \
		>"$folder/sources.list"
	cat >"$folder/apt.conf" <<-END
		Dir::State::lists "$folder/lists";
		Dir::State::status "$folder/status";
		Dir::Cache "$folder";
		Dir::Etc::sourcelist "$folder/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
	END
	export APT_CONFIG=$folder/apt.conf
	# A suite moves: files that a list of last week names are no longer there.
	apt-get update -qq
}

# unpack ROOT NAME...: unpacks NAMEs, and all they need, into ROOT. No script of a
# package runs. The C library's headers stay out: ROOT's Python.h serves the
# machine's own compiler.
unpack() {
	local root=$1 archives=${APT_CONFIG%/*}/archives folder deb
	shift
	for folder in bin sbin lib lib64; do
		mkdir -p "$root/usr/$folder"
		ln -sfn "usr/$folder" "$root/$folder"
	done
	rm -f "$archives"/*.deb
	apt-get install -y -qq --no-install-recommends --download-only "$@" >/dev/null
	for deb in "$archives"/*.deb; do
		case ${deb##*/} in
		libc6-dev_* | libc-dev-bin_* | linux-libc-dev_*) continue ;;
		tzdata_* | debconf_* | perl_* | adduser_* | *-doc_*) continue ;;
		esac
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" \
			--keep-directory-symlink --exclude=./usr/share/doc --exclude=./usr/share/man
	done
	rm -f "$archives"/*.deb
	# pyconfig.h includes <TRIPLET/pythonX.Y/pyconfig.h>: let one -I find it.
	for folder in "$root"/usr/include/python3*; do
		for deb in "$root"/usr/include/*-linux-gnu; do
			[ ! -d "$deb" ] || ln -sfn "../${deb##*/}" "$folder/${deb##*/}"
		done
	done
}

# source_of NAME FOLDER: the upstream source of Debian's package NAME, from the first
# suite that has it; of the newest Pythons it is often not there at all.
source_of() {
	local suite tarball
	[ ! -e "$2/configure" ] || return 0
	for suite in bullseye bookworm trixie forky sid; do
		(
			use_suite "$suite" source
			cd "$CACHE"
			apt-get source -qq --download-only --tar-only "$1"
		) >/dev/null 2>&1 || continue
		tarball=$(find "$CACHE" -maxdepth 1 -name "$1_*.orig.tar.?z*" \
			! -name '*.asc' -printf '%T@ %p\n' | sort -rn | sed -n '1s/^[^ ]* //p')
		[ -n "$tarball" ] || continue
		rm -rf "$2.part"
		mkdir -p "$2.part"
		tar -xf "$tarball" -C "$2.part" --strip-components=1
		mv "$2.part" "$2"
		return
	done
	say "no Debian suite here has the source of $1"
	return 1
}
