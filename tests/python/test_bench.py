"""The benchmarks judge rightly: what they compute, and what they read."""

import collections
import os
import shutil
import signal
import sys
import xml.etree.ElementTree

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tests", "bench"))

import charts  # noqa: E402
import edges  # noqa: E402
import pages  # noqa: E402
import peers  # noqa: E402
import receiver  # noqa: E402
import session  # noqa: E402
import slowdown  # noqa: E402
import truth  # noqa: E402


def test_a_share_error_is_half_the_sum_whatever_the_totals():
    count = collections.Counter
    known = count(a=6, b=3, c=1)
    assert truth.share_error(count(a=60, b=30, c=10), known) == pytest.approx(0)
    assert truth.share_error(count(a=5, b=4, c=1), known) == pytest.approx(10)
    assert truth.share_error(count(c=2), known) == pytest.approx(90)
    assert truth.share_error(count(), known) is None


def test_time_goes_to_the_known_function_nearest_to_the_leaf():
    stacks = [
        (["burn", "sixty", "at_work", "run"], 2.0),
        (["[unsettled]", "at_work", "run"], 0.5),
        (["somewhere", "else"], 9.0),
    ]
    found = truth.charged(stacks, ("sixty", "at_work"))
    assert found == {"sixty": 2.0, "at_work": 0.5}


def test_a_callee_under_who_never_calls_it_is_wrong():
    stacks = [
        (["left_leaf", "left", "swings"], 3.0),
        (["right_leaf", "left", "swings"], 1.0),
        (["left", "swings"], 5.0),
        (["[unsettled]", "swings"], 5.0),
    ]
    assert truth.wrong_callers(stacks) == pytest.approx(25)
    assert truth.wrong_callers([]) is None


COLLAPSED = {
    "py-spy": "at_work (known.py:41);sixty (known.py:63) 7\n",
    "profiling.sampling": "tid:12;/x/k.py:Meter.at_work:41;/x/k.py:sixty:63 7\n",
}


@pytest.mark.parametrize("name", sorted(COLLAPSED))
def test_collapsed_stacks_are_read(tmp_path, name):
    path = tmp_path / "stacks"
    path.write_text(COLLAPSED[name])
    contenders = {
        "py-spy": peers.py_spy("py-spy", None, tmp_path),
        "profiling.sampling": peers.tachyon("profiling.sampling", None),
    }
    assert contenders[name].read(str(path), "CPU", 100) == [
        (["sixty", "at_work"], pytest.approx(0.07))
    ]


def test_a_push_is_taken_apart():
    def field(number, value):
        return bytes([number << 3 | 2, len(value)]) + value

    def sample(profile):
        return field(2, field(1, profile) + field(2, b"some id"))

    label = field(1, field(1, b"service_name") + field(2, b"bench"))
    request = field(1, label + sample(b"one")) + field(1, sample(b"x" * 100))
    assert list(receiver.profiles_in(request)) == [b"one", b"x" * 100]


def test_an_interval_holds_the_mean_and_is_narrow_where_pairs_agree():
    mean, least, most = slowdown.interval([1.02] * 8)
    assert (mean, least, most) == pytest.approx((2, 2, 2))
    mean, least, most = slowdown.interval([0.9, 1.1, 1.0, 1.3, 0.95, 1.05])
    assert least < 0 < mean < most


def test_a_chart_is_svg_for_light_and_dark_with_every_value(tmp_path):
    path = tmp_path / "chart.svg"
    group = [("ours", 1.25), ("theirs", 70, (60, 81))]
    charts.bars(str(path), "a < b", [("steady", group)])
    text = path.read_text()
    root = xml.etree.ElementTree.fromstring(text)
    said = ["".join(t.itertext()) for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert said == ["a < b", "steady", "ours", "1.25", "theirs", "70"]
    assert "prefers-color-scheme: dark" in text


def test_time_elsewhere_is_half_of_what_differs():
    one = collections.Counter(quick=60, slow=40)
    two = collections.Counter(quick=500, slow=400, other=100)
    found, by_chance = edges.difference(one, two)
    assert found == pytest.approx(0.1)
    assert 0.01 < by_chance < 0.1
    assert edges.difference(two, two)[0] == 0


def test_a_row_of_edges_has_what_its_head_says():
    affinity = os.sched_getaffinity(0)
    counts = edges.compare(edges.WORKLOADS["tokenize"], 0.3, 500)
    assert os.sched_getaffinity(0) == affinity
    label, stacks, *parts = edges.row("tokenize", counts)
    assert len([label, stacks, *parts]) == len(edges.HEAD)
    assert int(stacks) > 50
    assert all(0 <= float(part) <= 100 for part in parts)


WRITERS = (
    "everywhere.py",
    "truth.py",
    "slowdown.py",
    "cost.py",
    "encoding.py",
    "beside.py",
)


@pytest.mark.parametrize("name", WRITERS)
def test_the_page_has_a_place_for_what_a_script_writes(tmp_path, name):
    page = str(tmp_path / "page.md")
    shutil.copy(os.path.join(ROOT, "docs", "benchmarks.md"), page)
    path, shown = pages.picture(page, "some.svg")
    pages.write(page, name, ["one", shown])
    with open(page, encoding="utf-8") as file:
        text = file.read()
    marks = "<!-- %s: begin -->\n%s<!-- %s: end -->\n"
    assert marks % (name, "one\n![some](benchmarks/some.svg)\n", name) in text
    assert os.path.dirname(path) == str(tmp_path / "benchmarks")


def test_our_profile_of_a_program_is_what_the_program_knows():
    ours = peers.ours(peers.choose_python(sys.executable))
    finding = truth.Finding()
    truth.measure(ours, ("steady", "CPU", 500), os.sched_getaffinity(0), 2, finding)
    assert finding.failure is None
    assert set(finding.truth) == {"sixty", "thirty", "ten", "at_work"}
    assert truth.of_shares(finding) < 10, finding.found
    assert abs(truth.of_total(finding)) < 5, finding.found


def test_a_profiler_from_outside_ends_in_a_shells_background_too(
        tmp_path, monkeypatch):
    def command(pid, kind, hz, path):
        return [sys.executable, "-c", "import time; time.sleep(600)"]

    python = peers.choose_python(sys.executable)
    monkeypatch.setattr(session, "PATIENCE_S", 20)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with session.Session(
            peers.outside("sleeper", python, command, None), str(tmp_path),
            os.sched_getaffinity(0),
        ) as s:
            s.begin("CPU", 100, 1)
            s.end()
    finally:
        signal.signal(signal.SIGINT, before)
