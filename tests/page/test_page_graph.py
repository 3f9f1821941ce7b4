"""The flame graph shows what the profile has, and goes where one wants."""

import random

import pytest
from made import MS, profile, small
from profiles import Read, googles_pprof

DEFAULT = {
    ("all",): "all, total 100 ms (100.0%), self 0",
    ("all", "main"): "main, /app/main.py:1, total 75.0 ms (75.0%), self 0",
    (
        "all",
        "main",
        "work",
    ): "work, /app/work.py:5, total 60.0 ms (60.0%), self 10.0 ms",
    ("all", "main", "work", "parse"): (
        "parse, /app/parse.py:1, total 50.0 ms (50.0%), self 30.0 ms"
    ),
    ("all", "main", "work", "parse", "parse"): (
        "parse, /app/parse.py:1, total 20.0 ms (20.0%), self 20.0 ms"
    ),
    ("all", "main", "idle"): "idle, /app/idle.py:1, total 15.0 ms (15.0%), self 0",
    ("all", "main", "idle", "parse"): (
        "parse, /app/parse.py:1, total 15.0 ms (15.0%), self 15.0 ms"
    ),
    ("all", "other"): "other, /app/other.py:1, total 25.0 ms (25.0%), self 25.0 ms",
}


def test_every_frame_is_there_with_its_place_and_numbers(page):
    assert page(small()).frames() == DEFAULT


def test_the_numbers_are_those_of_another_reader_of_the_file(page):
    """Each function's total, as protobuf's own classes read the same bytes."""
    data = small()
    read = Read(data)
    want = {}
    for frames, values, _ in read.stacks:
        for name in {f[0] for f in frames}:
            want[name] = want.get(name, 0) + values[1]
    rows = page(data).rows()
    assert {r[0]: r[3] for r in rows} == {
        name: "%.1f ms" % (value / MS) for name, value in want.items()
    }


@pytest.mark.parametrize("sort, option", [("self", "-flat"), ("total", "-cum")])
def test_the_ten_largest_are_those_of_go_pprof(page, tmp_path, sort, option):
    chance = random.Random(2)
    data = profile(
        [
            (["f%d" % chance.randrange(40) for _ in range(8)], [1, value * MS], {})
            for value in range(1, 300)
        ]
    )
    (tmp_path / "a.pb.gz").write_bytes(data)
    options = ["-top", option, "-unit=ms", "-nodecount=10", "-nodefraction=0"]
    said = googles_pprof(tmp_path, *options, tmp_path / "a.pb.gz")
    # flat flat% sum% cum cum% name
    lines = [line.split(None, 5) for line in said.splitlines()]
    theirs = [
        (row[5], float(row[0][:-2]), float(row[3][:-2]))
        for row in lines
        if len(row) == 6 and row[0].endswith("ms")
    ]
    p = page(data)
    p.choose("weight", "as recorded")
    p.all("#top [data-sort=%s]" % sort)[0].click()
    unit = {"ms": 1, "s": 1000}

    def ms(text):
        number, name = text.split()
        return float(number) * unit[name]

    ours = [(row[0], ms(row[1]), ms(row[3])) for row in p.rows()[:10]]
    column = 1 if sort == "self" else 2
    assert len(theirs) == 10
    assert [row[column] for row in ours] == pytest.approx(
        [row[column] for row in theirs], rel=0.006
    )
    for name, own, total in ours:
        assert (name, own, total) in [
            (n, pytest.approx(o, rel=0.006), pytest.approx(t, rel=0.006))
            for n, o, t in theirs
        ]


def test_lines_of_a_function_are_told_apart_on_request(page):
    p = page(small())
    p.go(1)
    p.go(3)
    assert p.current().startswith("work, /app/work.py:5,")
    assert p.text("by-line") == "By line: 10: 30.0 ms, 20: 30.0 ms"
    p["lines"].click()
    p.go(1)
    works = [words for _, words in p.items().values() if words.startswith("work, ")]
    assert sorted(works) == [
        "work, /app/work.py:10, total 30.0 ms (30.0%), self 0",
        "work, /app/work.py:20, total 30.0 ms (30.0%), self 10.0 ms",
    ]


def test_what_is_drawn_is_as_wide_as_its_share(page):
    """`main` has 75 of 100 ms: its colour reaches from 0 to 0.75 of its row."""
    p = page(small())
    y, width = 18 + 3, p.width()
    main, other = p.pixel(0.01 * width, y), p.pixel(0.99 * width, y)
    assert main != other
    assert p.pixel(0.745 * width, y) == main
    assert p.pixel(0.755 * width, y) == other
    # Under `other` there is nothing, under `main` there are 60 and 15 of 75.
    y += 18
    empty = p.pixel(0.99 * width, y)
    work, idle = p.pixel(0.01 * width, y), p.pixel(0.61 * width, y)
    assert len({tuple(work), tuple(idle), tuple(empty)}) == 3
    assert p.pixel(0.595 * width, y) == work
    assert p.pixel(0.745 * width, y) == idle
    assert p.pixel(0.755 * width, y) == empty


def test_a_double_click_zooms_and_a_button_comes_back(page):
    p = page(small())
    p.pointer(0.7, 2).double_click().perform()
    assert p.current().startswith("idle,")
    assert p.text("window") == "Seen: 60.0% to 75.0%"
    p["reset"].click()
    assert p.text("window") == "Seen: 0.0% to 100.0%"


def test_a_click_selects_and_a_hover_tells(page):
    p = page(small())
    p.pointer(0.9, 1).perform()
    assert p["tip"].text.startswith("other, /app/other.py:1, total 25.0 ms")
    p.pointer(0.9, 1).click().perform()
    assert p["details"].text.startswith("other,")


def test_dragging_pans_within_the_whole(page):
    p = page(small())
    p["outline"].send_keys("+")
    assert p.text("window") == "Seen: 25.0% to 75.0%"
    p.pointer(0.5, 0).click_and_hold().move_by_offset(5000 // 20, 0).release().perform()
    begin = float(p.text("window").split()[1].rstrip("%"))
    assert 10 < begin < 25
    p.pointer(0.1, 0).click_and_hold().move_by_offset(1000, 0).release().perform()
    p.pointer(0.1, 0).click_and_hold().move_by_offset(1000, 0).release().perform()
    assert p.text("window") == "Seen: 0.0% to 50.0%"


def test_a_pivot_has_callers_above_and_callees_below(page):
    """`parse` was called by `work` (50), `idle` (15), and by itself, which is one."""
    p = page(small())
    (button,) = [b for b in p.all("#top tbody button") if b.text == "parse"]
    button.click()
    frames = p.frames()
    assert {way: words.split(", ")[2] for way, words in frames.items()} == {
        ("parse",): "total 65.0 ms (100.0%)",
        ("parse", "work"): "total 50.0 ms (76.9%)",
        ("parse", "work", "main"): "total 50.0 ms (76.9%)",
        ("parse", "idle"): "total 15.0 ms (23.1%)",
        ("parse", "idle", "main"): "total 15.0 ms (23.1%)",
        ("parse", "parse"): "total 20.0 ms (30.8%)",
    }
    assert p.text("pivoted") == "Callers above and callees below parse"
    # Drawn: the callers in the rows above the pivot, the callee below it.
    p.pointer(0.9, 1).click().perform()
    assert p.current().startswith("idle,")
    p.pointer(0.1, 3).click().perform()
    assert p.current().startswith("parse, /app/parse.py:1, total 20.0 ms")
    p["unpivot"].click()
    assert p.frames() == DEFAULT


@pytest.mark.parametrize(
    "word, share, functions",
    [
        ("parse", "65.0%", 1),
        ("PARSE", "0.0%", 0),
        ("work.py", "60.0%", 1),
        ("main", "75.0%", 1),
        ("/app/", "100.0%", 5),
        ("nothing", "0.0%", 0),
    ],
)
def test_search_tells_the_share_of_what_matches(page, word, share, functions):
    """A stack counts once, however many of its frames match."""
    p = page(small())
    p["search"].send_keys(word)
    assert p.text("matches") == "%s in %d functions" % (share, functions)
    assert len(p.rows()) == functions


def test_search_marks_what_matches(page):
    p = page(small())
    y, width = 18 + 3, p.width()
    main, other = p.pixel(0.01 * width, y), p.pixel(0.99 * width, y)
    p["search"].send_keys("other")
    assert p.pixel(0.01 * width, y) == main
    assert p.pixel(0.99 * width, y) == [0xFF, 0xD2, 0x1F] != other


def test_the_table_sorts_by_each_column(page):
    p = page(small())
    names = {}
    for column in ("self", "total", "name", "place"):
        button = p.all("#top [data-sort=%s]" % column)[0]
        button.click()
        names[column] = [row[0] for row in p.rows()]
        (sorted_by,) = p.all("#top th[aria-sort$=ending]")
        assert sorted_by.text.startswith(button.text.split()[0])
    assert names["self"] == ["parse", "other", "work", "main", "idle"]
    assert names["total"] == ["main", "parse", "work", "other", "idle"]
    assert names["name"] == sorted(names["name"])
    assert names["place"] == ["idle", "main", "other", "parse", "work"]


def test_a_long_table_comes_in_parts(page):
    p = page(profile([(["f%d" % i], [1, i + 1], {}) for i in range(250)]))
    assert len(p.rows()) == 100
    assert p["top"].get_attribute("aria-rowcount") == "251"
    assert p["more"].text == "150 more"
    p["more"].click()
    p["more"].click()
    assert len(p.rows()) == 250
    assert not p["more"].is_displayed()


def test_a_deep_stack_is_drawn_where_one_scrolls_to(page):
    p = page(profile([(["f%d" % i for i in range(1000)], [1, MS], {})]))
    p["graph"].send_keys("")
    p.driver.execute_script("document.getElementById('graph').scrollTop = 1e6")
    size = p["canvas"].size["height"]
    p.pointer(0.5, size // 18 - 1).click().perform()
    assert p.current().startswith("f99")


def test_an_empty_profile_says_so(page):
    p = page(profile([]))
    assert p["empty"].text == "Nothing was sampled here."
    assert p.rows() == []


def test_the_view_is_in_the_address(page):
    p = page(small())
    p["search"].send_keys("parse")
    p.pointer(0.7, 2).double_click().perform()
    url = p.driver.current_url
    hash = url[url.index("#") :]
    again = page(small(), hash=hash)
    assert again["search"].get_attribute("value") == "parse"
    assert again.text("window") == "Seen: 60.0% to 75.0%"
    assert again.current().startswith("idle,")


@pytest.mark.parametrize(
    "hash",
    [
        "#zoom=1e9&pivot=-7&value=99&show=5,x,-1&base=77&kind=nothing",
        "#zoom=NaN&pivot=1e99&value=1.5&labels=x&__proto__=1&sort=constructor",
        "#label.thread=nobody&weight=heavy&theme=pink&lines=maybe",
        "#%ff%00&&&==",
    ],
)
def test_any_address_shows_something(page, hash):
    p = page(small(), hash=hash)
    assert p.current() == DEFAULT["all",]
