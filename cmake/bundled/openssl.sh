#!/bin/sh
# Builds OpenSSL's two archives in its unpacked source, where this is run, with zig
# (which PATH finds: the command line of the compiler ends up in the archive):
#
#   openssl.sh TARGET JOBS
#
# What is left is what a TLS client of today needs, and its ciphers' assembly. The
# configuration file of the system is not read, and no code is loaded by name.
set -eu
case $1 in
x86_64-*) platform=linux-x86_64 ;;
aarch64-*) platform=linux-aarch64 ;;
*) echo "openssl.sh: no name of OpenSSL's for $1" >&2 && exit 1 ;;
esac
# OpenSSL does not know that musl has getauxval. It would try instructions out while
# it is loaded, with a handler of its own for SIGILL, in the midst of a program.
case $1 in
aarch64-*-musl)
	cat >auxv.h <<-END
		#ifndef __ASSEMBLER__
		#include <sys/auxv.h>
		#endif
	END
	auxv="-includeauxv.h -DOSSL_IMPLEMENT_GETAUXVAL"
	;;
*) auxv= ;;
esac
# Two builds of the same are the same to the byte.
export SOURCE_DATE_EPOCH=0 LC_ALL=C
export CC="zig cc -target $1" AR="zig ar" RANLIB="zig ranlib"

perl Configure $platform no-shared no-module no-dso no-engine no-legacy \
	no-apps no-docs no-tests no-ui-console no-autoload-config no-uplink \
	no-ssl3 no-dtls no-quic no-sctp no-srp no-psk no-comp no-http \
	no-cmp no-cms no-ct no-ts no-ec2m no-sm2 no-ml-dsa no-slh-dsa \
	no-aria no-bf no-camellia no-cast no-gost no-idea no-md4 no-mdc2 no-rc2 \
	no-rc4 no-rc5 no-rmd160 no-seed no-sm3 no-sm4 no-whirlpool \
	-Os -g0 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections \
	-fstack-protector-strong $auxv --openssldir=/etc/ssl
make -s build_generated
make -s -j"$2" libcrypto.a libssl.a
