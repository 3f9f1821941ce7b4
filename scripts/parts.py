"""What a wheel is made of besides our own code: names, versions, licences and their
texts. All but the names is read from the sources that the build has unpacked."""

import collections
import glob
import os
import re

import bundle

# `folder`: where it lies in the file that `recipe` names. `licence`: an expression of
# SPDX. `version`: a file there, and a pattern of what it says; None when it says
# nothing. `texts`: files there that are a licence, or that begin with one.
Part = collections.namedtuple("Part", "name recipe folder licence version texts")

LLVM = "Apache-2.0 WITH LLVM-exception"
LLVM_VERSION = ("../libcxx/include/__config", r"_LIBCPP_VERSION (\d\d)(\d\d)(\d\d)")
RIGHTS = re.compile("licen[cs]e|permission|redistribut|warrant|damage|notice", re.I)

TRANSPORT = [
    Part("grpc", "grpc", "", "Apache-2.0",
         ("src/python/grpcio/grpc_version.py", r"VERSION = '(.+)'"), ["LICENSE"]),
    Part("abseil", "grpc", "third_party/abseil-cpp", "Apache-2.0",
         ("absl/base/config.h",
          r"ABSL_LTS_RELEASE_VERSION (\d+)\n.*_PATCH_LEVEL (\d+)"), ["absl/**/*.cc"]),
    Part("address_sorting", "grpc", "third_party/address_sorting", "BSD-3-Clause",
         None, ["*.c"]),
    Part("c-ares", "grpc", "third_party/cares/cares", "MIT AND BSD-3-Clause AND ISC",
         ("include/ares_version.h", r'ARES_VERSION_STR "(.+)"'), ["src/lib/**/*.c"]),
    Part("upb", "grpc", "third_party/upb", "BSD-3-Clause", None, ["upb/**/*.c"]),
    Part("utf8_range", "grpc", "third_party/utf8_range", "MIT", None,
         ["utf8_range.c"]),
    Part("zlib", "grpc", "third_party/zlib", "Zlib",
         ("zlib.h", r'ZLIB_VERSION "(.+)"'), ["zlib.h"]),
    Part("openssl", "openssl", "openssl", "Apache-2.0",
         ("VERSION.dat", r"MAJOR=(\d+)\nMINOR=(\d+)\nPATCH=(\d+)"), ["LICENSE.txt"]),
    Part("libc++", "zig", "ziglang/lib/libcxx", LLVM, LLVM_VERSION, ["LICENSE.TXT"]),
    Part("libc++abi", "zig", "ziglang/lib/libcxxabi", LLVM, LLVM_VERSION,
         ["LICENSE.TXT"]),
    Part("libunwind", "zig", "ziglang/lib/libunwind", LLVM, LLVM_VERSION,
         ["LICENSE.TXT"]),
    # It is zig's own, and not LLVM's.
    Part("compiler-rt", "zig", "ziglang/lib/compiler_rt", "MIT", None,
         ["../../LICENSE"]),
]
NATIVE = [
    Part("json-c", "json-c", "", "MIT",
         ("json_c_version.h", r'JSON_C_VERSION "(.+)"'), ["COPYING"]),
    Part("protobuf-c", "protobuf-c", "", "BSD-2-Clause",
         ("protobuf-c/protobuf-c.h", r'PROTOBUF_C_VERSION\s+"(.+)"'), ["LICENSE"]),
]
# Of glibc, the few functions that each shared object has for itself, such as stat().
NONSHARED = Part(
    "glibc", "zig", "ziglang/lib/libc/glibc",
    "LGPL-2.1-or-later WITH GCC-exception-2.0", None,
    ["LICENSES", "io/*.c", "stdlib/*.c"])


def of_target(target):
    """The parts of a wheel for `target`."""
    return TRANSPORT + NATIVE + ([NONSHARED] if "-gnu" in target else [])


def licence(found):
    """The expression of SPDX for our own code together with these parts."""
    each = {"Apache-2.0"}.union(*(part.licence.split(" AND ") for part in found))
    return " AND ".join(sorted(each))


def version(part, source):
    """What the unpacked source says, or None."""
    if part.version is None:
        return None
    name, pattern = part.version
    with open(os.path.join(source, part.folder, name), encoding="utf-8") as file:
        found = re.search(pattern, file.read())
    if not found:
        raise bundle.Failure("no version of %s in %s" % (part.name, name))
    numbers = found.groups()
    return numbers[0] if len(numbers) == 1 else ".".join(str(int(n)) for n in numbers)


def texts(part, source):
    """Pairs (name, text): its licence, as the unpacked source has it."""
    folder = os.path.join(source, part.folder)
    notices = collections.defaultdict(set)
    found = False
    for pattern in part.texts:
        for path in sorted(glob.glob(os.path.join(folder, pattern), recursive=True)):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            name = os.path.basename(path)
            if re.match("LICEN[CS]E|COPYING", name):
                found = True
                yield name, text
                continue
            rest, owners = owners_apart(first_comments(text))
            if rest:
                notices[rest] |= owners
    if notices:
        yield "NOTICES", "\n\n\n".join(
            "\n".join(sorted(owners)) + "\n\n" + rest
            for rest, owners in sorted(notices.items())) + "\n"
    elif not found:
        raise bundle.Failure("no licence of %s in %s" % (part.name, folder))


def first_comments(text):
    """The comments that C begins with, without their marks, as far as they are about
    rights."""
    found = re.match(r"(?:\s*(?:/\*.*?\*/|//[^\n]*\n))*", text, re.S).group()
    lines = [re.sub(r"^\s*(?:/\*+|\*+/|\*|//)?\s?|\s*\*+/\s*$", "", line).rstrip()
             for line in found.splitlines()]
    paragraphs = re.split(r"\n{2,}", "\n".join(lines).strip())
    while paragraphs and not RIGHTS.search(paragraphs[-1]):
        paragraphs.pop()
    return "\n\n".join(paragraphs)


def owners_apart(text):
    """A notice without the lines that say whose it is, and these: many files differ
    in nothing else."""
    lines = text.split("\n")
    owners = {line.strip() for line in lines if re.match(r"\s*Copyright\b", line)}
    rest = "\n".join(line for line in lines if line.strip() not in owners)
    return re.sub(r"\n{3,}", "\n\n", rest).strip(), owners
