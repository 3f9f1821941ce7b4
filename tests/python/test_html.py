"""What the page is told, and the file it is written into."""

import json
import os
import stat

import pytest
from googlecloudprofiler import _cli, _html, _serve

NS = "nanoseconds"


def decoded(samples, locations, values=(("cpu", NS),), default=0):
    return {
        "value_types": list(values),
        "default": default,
        "samples": samples,
        "locations": locations,
        "comments": ["c"],
        "time_ns": 7,
        "duration_ns": 10**9,
        "period": 1,
        "period_type": ("cpu", NS),
    }


def source(profile, data=b"bytes"):
    return _html.Source("title", _html.kind_of(profile), "a.pb.gz", data, profile)


def stacks(told, nr=0):
    """{(frames root first, labels): values} as the page would read it."""
    profile = told["profiles"][nr]
    step = 2 + len(profile["values"])
    found = {}
    for i in range(0, len(profile["samples"]), step):
        node, labels, *values = profile["samples"][i : i + step]
        names = []
        while node:
            assert told["parent"][node] < node
            frame = told["frame"][node]
            function, line = told["frames"][2 * frame : 2 * frame + 2]
            name, file, start = told["functions"][3 * function : 3 * function + 3]
            names.append((told["strings"][name], told["strings"][file], line, start))
            node = told["parent"][node]
        key = tuple(reversed(names)), tuple(profile["labels"][labels])
        assert key not in found
        found[key] = values
    return found


A, B, C = ("a", "a.py", 2, 1), ("b", "b.py", 4, 3), ("b", "b.py", 5, 3)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A small template stands for the page; returns what was read of a file."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "_page.html").write_text("<html>@DATA@</html>@DATA@")
    monkeypatch.setattr(_html, "__file__", str(package / "_html.py"))
    return package / "_page.html"


def test_stacks_arrive_root_first_with_lines_and_labels():
    one = ("thread", "one", "")
    profile = decoded(
        [([1, 0], [5], [one]), ([2, 0], [7], [("id", 3, "")]), ([0], [1], [])],
        [[A], [B], [C]],
    )
    assert stacks(_html.content([source(profile)])) == {
        ((A, B), (("thread", "one"),)): [5],
        ((A, C), (("id", "3"),)): [7],
        ((A,), ()): [1],
    }


def test_equal_samples_are_one():
    profile = decoded([([0], [5], []), ([0], [7], [])], [[A]])
    told = _html.content([source(profile)])
    assert stacks(told) == {((A,), ()): [12]}
    assert told["profiles"][0]["sample_count"] == 2


def test_profiles_share_one_tree():
    first = decoded([([1, 0], [5], [])], [[A], [B]])
    second = decoded([([0, 1], [6], [])], [[B], [A]])
    told = _html.content([source(first), source(second)])
    assert len(told["parent"]) == len(told["frame"]) == 3
    assert stacks(told, 0) == {((A, B), ()): [5]}
    assert stacks(told, 1) == {((A, B), ()): [6]}


def test_inlined_calls_are_frames_of_their_own():
    profile = decoded([([0], [5], [])], [[B, A]])
    assert stacks(_html.content([source(profile)])) == {((A, B), ()): [5]}


def test_a_sample_without_stack_or_values_is_shown_as_such():
    profile = decoded([([], [], [])], [], values=())
    told = _html.content([source(profile)])
    assert stacks(told) == {((("[no stack]", "", 0, 0),), ()): [0]}
    assert told["profiles"][0]["kind"] == "unnamed values"


def test_a_deep_stack_loses_its_middle():
    frames = [("f%d" % i, "", 1, 1) for i in range(3000)]
    profile = decoded([(list(range(3000)), [5], [])], [[f] for f in frames])
    ((stack, _),) = stacks(_html.content([source(profile)]))
    assert len(stack) == _html.MAX_DEPTH
    names = [f[0] for f in stack]
    assert names[:256] == ["f%d" % i for i in range(2999, 2743, -1)]
    assert names[256] == "[...]"
    assert names[257:] == ["f%d" % i for i in range(766, -1, -1)]


@pytest.mark.parametrize("name, most", [("MAX_FRAMES", 5), ("MAX_NODES", 2)])
def test_what_is_too_much_is_refused(monkeypatch, name, most):
    profile = decoded([([0, 1], [5], []), ([1, 0], [5], [])] * 2, [[A], [B]])
    _html.content([source(profile)])
    monkeypatch.setattr(_html, name, most)
    with pytest.raises(_html.HtmlError, match="too much for a page"):
        _html.content([source(profile)])


def test_inlined_frames_are_counted_before_they_are_copied():
    """A location with many lines costs little where it is read and much where each
    sample has it a million times."""
    profile = decoded([([0] * 100000, [5], [])], [[A] * 1000])
    with pytest.raises(_html.HtmlError, match="too much for a page"):
        _html.content([source(profile)])


def test_the_launcher_of_run_is_not_shown():
    run = ("main", "/x/googlecloudprofiler/_run.py", 1, 1)
    profile = decoded([([0, 1], [5], []), ([1], [2], [])], [[A], [run]])
    profiler = ("[profiler]", "", 0, 0)
    assert stacks(_html.content([source(profile)])) == {
        ((A,), ()): [5], ((profiler,), ()): [2]}


def test_kinds_are_told_apart_by_all_their_values():
    kinds = {
        _html.kind_of(decoded([], [], values=values, default=default))
        for values, default in [
            ([("samples", "count"), ("cpu", NS)], 1),
            ([("samples", "count"), ("cpu", NS)], 0),
            ([("samples", "count"), ("cpu", "seconds")], 1),
            ([("cpu", NS)], 0),
        ]
    }
    assert len(kinds) == 4
    assert "cpu nanoseconds | samples count" in kinds


def test_no_markup_comes_from_data(page, tmp_path):
    name = "</script><!-- \u2028 \ud800 @DATA@"
    profile = decoded([([0], [5], [])], [[(name, name, 1, 1)]])
    _html.write(str(tmp_path / "out.html"), [source(profile)])
    text = (tmp_path / "out.html").read_text()
    assert text.startswith("<html>") and text.endswith("</html>@DATA@")
    inner = text[len("<html>") : -len("</html>@DATA@")]
    assert "<" not in inner and inner.isascii()
    assert json.loads(inner)["strings"] == [name]


def test_the_file_is_its_owners_and_replaced_whole(page, tmp_path):
    out = tmp_path / "out.html"
    out.write_text("old")
    _html.write(str(out), [source(decoded([], []))])
    assert stat.S_IMODE(os.stat(str(out)).st_mode) == 0o600
    assert out.read_text() != "old"
    assert os.listdir(str(tmp_path)).count("out.html") == 1
    assert not [n for n in os.listdir(str(tmp_path)) if n.startswith(".page-")]


def test_a_failure_leaves_the_old_file_and_nothing_else(page, tmp_path, monkeypatch):
    out = tmp_path / "out.html"
    out.write_text("old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(_html.HtmlError, match=r"cannot write '.*': No space left"):
        _html.write(str(out), [source(decoded([], []))])
    assert out.read_text() == "old"
    assert sorted(os.listdir(str(tmp_path))) == ["out.html", "package"]


def test_no_such_folder_is_told(page, tmp_path):
    with pytest.raises(_html.HtmlError, match=r"cannot write '.*': No such file"):
        _html.write(str(tmp_path / "no" / "out.html"), [source(decoded([], []))])


def test_a_build_without_the_page_says_what_to_do(page, tmp_path):
    page.unlink()
    with pytest.raises(_html.HtmlError, match="run 'make page'"):
        _html.write(str(tmp_path / "out.html"), [source(decoded([], []))])
    assert not (tmp_path / "out.html").exists()


# By the command line.


class Native:
    @staticmethod
    def decode_profile(data):
        if not data.startswith(b"profile "):
            raise RuntimeError("not a profile")
        kind = data.decode().split()[1]
        return decoded([([0], [5], [])], [[A]], values=[(kind, NS)])


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setattr(_serve, "native", lambda: Native)
    paths = {}
    for name, text in [
        ("cpu", "profile cpu"),
        ("later", "profile cpu 2"),
        ("wall", "profile wall"),
        ("broken", "x"),
    ]:
        (tmp_path / name).write_bytes(text.encode())
        paths[name] = str(tmp_path / name)
    return paths


@pytest.fixture
def show(page, files, tmp_path):
    """show(*arguments) is the status and what the page was told, or None."""
    out = tmp_path / "out.html"

    def run(*arguments):
        words = [files.get(a, a) for a in arguments]
        status = _cli.main(["show", "--html", str(out), *words])
        if not out.exists():
            return status, None
        return status, json.loads(out.read_text()[6 : -len("</html>@DATA@")])

    return run


def test_named_profiles_are_in_the_page(show):
    status, told = show("cpu", "later", "wall")
    assert status == 0
    assert [p["kind"].split()[0] for p in told["profiles"]] == ["cpu", "cpu", "wall"]
    assert [p["file"] for p in told["profiles"]] == ["cpu", "later", "wall"]
    assert told["compare"] is None


def test_a_comparison_knows_before_and_after(show):
    status, told = show("--diff", "cpu", "later")
    assert status == 0
    assert told["compare"] == [[0], [1]]
    assert [p["file"] for p in told["profiles"]] == ["cpu", "later"]


def test_without_names_the_newest_of_each_type(show, files, tmp_path):
    store = str(tmp_path / "store")
    with _cli._store.Store(store, Native.decode_profile) as s:
        for i, (type, data) in enumerate(
            [
                ("WALL", b"profile wall"),
                ("CPU", b"profile cpu"),
                ("CPU", b"profile cpu 2"),
            ]
        ):
            s.add(("%d" % i) * 32, "n", "p", "web", type, {}, 1, data)
    status, told = show("--store", store)
    assert status == 0
    assert [p["file"] for p in told["profiles"]] == [
        "2" * 32 + ".pb.gz",
        "0" * 32 + ".pb.gz",
    ]
    status, told = show("--store", store, "--type", "WALL")
    assert len(told["profiles"]) == 1


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["--diff", "cpu", "wall"], 1, "cannot compare 'cpu nanoseconds' with 'wall"),
        (["cpu", "broken"], 1, "cannot read"),
        (["--diff", "cpu", "later", "wall"], 2, "without other profiles"),
        (["--list"], 2, "--list goes without --html"),
        (["--store", "/nowhere"], 1, "no profiles are stored"),
    ],
)
def test_what_cannot_be_is_one_line(show, capsys, arguments, status, words):
    assert show(*arguments) == (status, None)
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1


def test_a_comparison_is_for_the_page(capsys, files):
    assert _cli.main(["show", "--diff", files["cpu"], files["later"]]) == 2
    assert "--diff goes with --html" in capsys.readouterr().err
