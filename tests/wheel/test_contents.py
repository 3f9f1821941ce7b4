"""A wheel says what it is made of: its RECORD, the CycloneDX document, the licences."""

import email.parser
import glob
import json
import os
import re
import sys
import zipfile

import pytest
import wheels

schema = pytest.importorskip("cyclonedx.schema")
validation = pytest.importorskip("cyclonedx.validation.json")

pytestmark = wheels.needed

# Those whose code is in each binary wheel; where glibc is wanted, a little of it too.
LIBRARIES = {
    *("grpc", "abseil", "address_sorting", "c-ares", "upb", "utf8_range", "zlib"),
    *("openssl", "libc++", "libc++abi", "libunwind", "compiler-rt"),
    *("json-c", "protobuf-c"),
}


def read(path):
    """Its content by name, that of dist-info without the folder."""
    with zipfile.ZipFile(path) as file:
        found = {name: file.read(name) for name in file.namelist()}
    return {re.sub(r"^[^/]+\.dist-info/", "", name): v for name, v in found.items()}


def document(content):
    (text,) = (v for k, v in content.items() if re.match(r"sboms/.*\.cdx\.json$", k))
    return json.loads(text.decode("utf-8"))


def components(found):
    """All of a document, and the files that have them inside."""
    for file in found["components"]:
        for component in file["components"]:
            yield component, file


@pytest.fixture(params=wheels.TARGETS)
def content(request):
    return read(wheels.wheel("abi3-" + request.param))


def test_the_record_is_right(tmp_path):
    for path in glob.glob(os.path.join(wheels.FOLDER, "*.whl")):
        # Compares each file with its hash, and lets none be without.
        wheels.run([sys.executable, "-m", "wheel", "unpack", "-d", str(tmp_path), path])
        content = read(path)
        rows = content["RECORD"].decode("utf-8").splitlines()
        recorded = {row.rsplit(",", 2)[0] for row in rows}
        with zipfile.ZipFile(path) as file:
            assert recorded == set(file.namelist()), path


def test_the_page_is_in_it(content):
    assert content["googlecloudprofiler/_page.html"].count(b"@DATA@") == 1
    for kind in ("html", "js", "css"):
        assert content["googlecloudprofiler/_service." + kind]


def test_the_document_is_valid(content):
    text = json.dumps(document(content))
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    assert validator.validate_str(text) is None


def test_each_library_is_named(content):
    names = {c["name"] for c, _ in components(document(content))}
    glibc = b"libc.so.6" in content["googlecloudprofiler/_transport.so"]
    assert names == LIBRARIES | ({"glibc"} if glibc else set())
    for component, file in components(document(content)):
        assert component["purl"].startswith("pkg:")
        assert component["licenses"][0]["expression"]
        # What has no version of its own has that of what it came in.
        assert component.get("version") or file["version"] in component["purl"]
        assert re.fullmatch("[0-9a-f]{64}", file["hashes"][0]["content"])


def test_versions_are_those_of_the_binaries(content):
    version = {c["name"]: c.get("version") for c, _ in components(document(content))}
    for name, binary in (
        ("openssl", "_transport.so"),
        ("zlib", "_transport.so"),
        ("zlib", "_native.abi3.so"),
    ):
        text = content["googlecloudprofiler/" + binary]
        assert b"\0%s\0" % version[name].encode() in text, name


def test_the_licences_of_all_are_there(content):
    metadata = email.parser.BytesParser().parsebytes(content["METADATA"])
    names = {k[len("licenses/") :] for k in content if k.startswith("licenses/")}
    assert set(metadata.get_all("License-File")) == names
    assert "LICENSE" in names
    expression = metadata["License-Expression"].split(" AND ")
    for component, _ in components(document(content)):
        assert any(n.startswith(component["name"] + "/") for n in names), component
        for licence in component["licenses"][0]["expression"].split(" AND "):
            assert licence in expression


def test_the_pure_wheel_has_our_licence_and_no_other():
    content = read(wheels.wheel("py3-none-any"))
    with open(os.path.join(wheels.HERE, "../../LICENSE"), "rb") as file:
        ours = file.read()
    told = {k: v for k, v in content.items() if k.startswith(("licenses/", "sboms/"))}
    assert told == {"licenses/LICENSE": ours}
