"""Make the seeds in corpus/: what real encoders write. Files of other names there are
inputs that reached more, or found a fault, and stay. Usage: python tests/fuzz/seeds.py
"""

import gzip
import json
import os
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path += [os.path.join(TESTS, "e2e"), os.path.join(TESTS, "interpreters")]

from fake_service import api, pprof, rpc  # noqa: E402
from find import pythons  # noqa: E402
from googlecloudprofiler import _native  # noqa: E402

# Tables as one release of each format writes them: their number in f-linetable.c.
FORMATS = {(3, 9): 0, (3, 10): 1, (3, 12): 2}
PROGRAM = """
import json
import marshal
for function in json.dumps, json.JSONDecoder.raw_decode, json.loads:
    code = function.__code__
    table = code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab
    print(code.co_firstlineno, table.hex())
"""


CODES = """
import json.decoder
code = json.decoder.py_scanstring.__code__
for i in range(100):
    json.decoder.py_scanstring('"abc"', 1)
print(code.co_code.hex(), code._co_code_adaptive.hex())
"""


def save(target, name, data):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "seed-" + name), "wb") as file:
        file.write(data)


def forget():
    for folder, _, names in os.walk(os.path.join(HERE, "corpus")):
        for name in names:
            if name.startswith("seed-"):
                os.unlink(os.path.join(folder, name))


def deployment():
    return api.Deployment(
        project_id="prj", target="shop", labels={"language": "python", "zone": "z1"}
    )


def messages():
    profile = api.Profile(
        name="projects/prj/profiles/1",
        profile_type="CPU",
        deployment=deployment(),
        duration=api.Duration(seconds=10, nanos=1),
        labels={"instance": "i-1"},
    )
    save("assignment", "whole", profile.SerializeToString())
    profile.profile_bytes = gzip.compress(b"profile", mtime=0)
    update = api.UpdateProfileRequest(profile=profile)
    save("request", "update", update.SerializeToString())
    create = api.CreateProfileRequest(
        parent="projects/prj", deployment=deployment(), profile_type=["CPU", "WALL"]
    )
    save("request", "create", create.SerializeToString())
    for i in range(40):  # more than are taken
        create.deployment.labels["l%d" % i] = ""
    save("request", "labels", create.SerializeToString())
    bare = api.Profile(name="projects/prj/profiles/2", profile_type="WALL")
    save("assignment", "bare", bare.SerializeToString())
    for seconds, nanos in (0, 1), (3600, 999999999), (-1, -1):
        info = rpc.RetryInfo(
            retry_delay=rpc.RetryInfo.Delay(seconds=seconds, nanos=nanos)
        )
        save("retry", "%d" % seconds, info.SerializeToString())
    save("retry", "words", b"\x07the caller does not have permission")


def profiles():
    sorter = threading.Thread(target=lambda: [sorted(range(i)) for i in range(2000)])
    sorter.start()
    data = _native.collect("WALL", 50000000, 10000000)
    sorter.join()
    profile = pprof.Profile.FromString(gzip.decompress(data))
    for i, text in enumerate(profile.string_table):
        profile.string_table[i] = os.path.basename(text)
    plain = profile.SerializeToString()
    save("profile", "ours", plain)
    save("profile", "ours.gz", gzip.compress(plain, mtime=0))
    # As other tools write them: inlined lines, labels that are numbers.
    profile.location[0].line.add(function_id=profile.function[0].id, line=3)
    profile.sample[0].label.add(key=1, num=-1, num_unit=2)
    profile.default_sample_type = 1
    save("profile", "inlined", profile.SerializeToString())
    del profile.sample[1:], profile.location[2:]
    save("profile", "dangling", profile.SerializeToString())


def tables():
    for python in pythons():
        number = FORMATS.pop(python.version[:2], None)
        if number is None:
            continue
        out = subprocess.check_output([python.path, "-I", "-c", PROGRAM], text=True)
        for i, line in enumerate(out.splitlines()):
            first_line, table = line.split()
            head = struct.pack("<BiI", number, int(first_line), 5)
            save("linetable", "%d-%d" % (number, i), head + bytes.fromhex(table))


def sites():
    """Code as it is compiled, and as it looks once it ran."""
    for python in pythons():
        number = python.version[1] - 11
        if python.version < (3, 11) or python.kind or not python.final:
            continue
        out = subprocess.check_output([python.path, "-I", "-c", CODES], text=True)
        for name, code in zip(("made", "ran"), out.split()):
            data = bytes([number]) + bytes.fromhex(code)
            save("sites", "%d-%s" % (python.version[1], name), data)


def texts():
    token = {"access_token": "ya29.c", "expires_in": 3599, "token_type": "Bearer"}
    save("token", "whole", json.dumps(token).encode())
    save("token", "nested", json.dumps({"error": {"code": [404]}}).encode())
    save("token", "given", b"ya29.c.b0AXv0zTPQZ")
    head = b"HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Length: %d\r\n\r\n"
    for name, body in (
        ("zone", b"projects/123/zones/europe-west1-b"),
        ("token", json.dumps(token).encode()),
    ):
        save("metadata", name, head % len(body) + body)
    head = b"HTTP/1.0 200 OK\r\nMetadata-Flavor: Google\r\n\r\n"
    save("metadata", "until-closed", head + b"z")
    save("metadata", "portal", b"HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n")
    for i, text in enumerate((
        "localhost:8080", "127.0.0.1:1", "[::1]:65535", "unix:/run/a b%.sock",
        "metadata.google.internal", "169.254.169.254", "[fd20:ce::254]:80",
        "[::ffff:127.0.0.1]:1", "127.1:80", "128.0.0.1:80", "0.0.0.0:80", "[::2]:80",
        "localhost.evil.test:80", "10.0.0.1:80",
    )):
        save("address", "%d" % i, text.encode())


def memory():
    """For each release of hostile-python.h."""
    for release in range(8):
        start = 3 if release >= 3 else 0  # frames by pointers to instructions
        head = struct.pack("<BiIQq", release, 7, start, 16, 2)
        # A length, for many a hash, the state (ASCII, compact, one byte), text.
        name = struct.pack("<QqI", 4, -1, 0x64) + bytes(20) + b"name"
        wide = struct.pack("<QqI", 2, -1, 0x30) + bytes(44) + b"\xac\x20\x00\xd8"
        lines = struct.pack("<Qq", 4, -1) + b"\xef\x00\xef\x00"
        parts = (name, wide, lines)
        save("code", "%d" % release,
             head + b"".join(bytes([len(part)]) + part for part in parts))
        # Longer than what is kept of it.
        name = struct.pack("<QqI", 2000, -1, 0x64)
        parts = (name, name, lines)
        save("code", "%d-long" % release,
             head + b"".join(bytes([len(part)]) + part for part in parts))
        # Two looks; a word of a frame points to another; a look; nonsense; a look.
        save("chain", "%d" % release,
             bytes([release, 255, 255, 3, 1, 1 + 4 * 5, 0, 255, 5, 2, 0, 255, 4, 3])
             + b"\x03" + struct.pack("<Q", 0x7F0000000008) + b"\xff")


def main():
    forget()
    messages()
    profiles()
    tables()
    sites()
    texts()
    memory()
    total = sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(os.path.join(HERE, "corpus"))
        for name in names
    )
    print("%d bytes" % total)


if __name__ == "__main__":
    main()
