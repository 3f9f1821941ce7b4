"""Types, values, weights, threads, merged profiles and comparisons."""

import pytest
from made import MS, SAMPLER, heap, later, profile, small


def totals(page):
    return {row[0]: row[3] for row in page.rows()}


def label(page, key):
    return page.all("[data-label=%s]" % key)[0]


def box(page, words, nr):
    """The nr-th of the boxes that begin with these words."""
    return [
        b
        for b in page.all("#profiles input")
        if b.get_attribute("aria-label").startswith(words)
    ][nr]


def test_each_value_of_a_sample(page):
    p = page(small())
    assert p.choices("value") == ["sample (count)", "cpu (nanoseconds)"]
    p.choose("value", "sample (count)")
    assert totals(p) == {
        "main": "7",
        "parse": "6",
        "work": "6",
        "other": "2",
        "idle": "1",
    }


@pytest.mark.parametrize(
    "weight, main", [("by the second", "7.50 ms/s"), ("share of all", "75.0%")]
)
def test_each_weight(page, weight, main):
    p = page(small())
    p.choose("weight", weight)
    assert totals(p)["main"] == main


def test_one_thread(page):
    p = page(small())
    p.select(label(p, "thread"), "two")
    assert totals(p) == {
        "main": "25.0 ms",
        "work": "10.0 ms",
        "idle": "15.0 ms",
        "parse": "15.0 ms",
        "other": "25.0 ms",
    }
    p.select(label(p, "thread"), "all")
    assert totals(p)["main"] == "75.0 ms"


def test_profiles_of_one_type_are_merged_and_can_be_taken_out(page):
    p = page(small(), later())
    assert totals(p) == {
        "main": "155 ms",
        "work": "140 ms",
        "parse": "145 ms",
        "other": "45.0 ms",
        "idle": "15.0 ms",
    }
    p.choose("weight", "by the second")
    assert totals(p)["main"] == "5.17 ms/s"  # 155 ms in 30 s
    p.choose("weight", "as recorded")
    box(p, "show", 1).click()
    assert totals(p)["main"] == "75.0 ms"


def test_the_last_profile_cannot_be_taken_out(page):
    p = page(small())
    box(p, "show", 0).click()
    assert totals(p)["main"] == "75.0 ms"


def test_other_types_are_a_choice(page):
    p = page(small(), heap())
    first, second = p.choices("kind")
    assert first.startswith("cpu nanoseconds")
    p.choose("kind", second)
    assert totals(p) == {"main": "3.20 MB"}
    assert p.choices("value") == ["inuse_objects (count)", "inuse_space (bytes)"]


def test_a_comparison_by_the_command_line(page):
    """Shares by default: how long each was recorded does not matter."""
    p = page(small(), later(), diff=True)
    rows = {row[0]: row[4:6] for row in p.rows()}
    assert rows["parse"] == ["80.0%", "+15.0%"]
    assert {name: row[1] for name, row in rows.items()} == {
        "main": "+5.0%",
        "work": "+20.0%",
        "parse": "+15.0%",
        "idle": "-15.0%",
        "other": "-5.0%",
    }
    assert p.text("total") == "100.0%, before 100.0%"
    idle = p.frames()["all", "main", "idle"]
    assert idle.endswith("before 15.0%, difference -15.0%")


def test_a_comparison_by_choice_and_in_absolute_numbers(page):
    p = page(small(), later())
    box(p, "show", 0).click()
    box(p, "compare", 0).click()
    p.choose("weight", "as recorded")
    p.all("#top [data-sort=difference]")[0].click()
    rows = [(row[0], row[5]) for row in p.rows()]
    assert rows[0] == ("work", "+20.0 ms")
    assert dict(rows)["idle"] == "-15.0 ms"
    box(p, "compare", 0).click()
    assert not p["legend"].is_displayed()


def test_more_is_red_and_less_is_blue(page):
    p = page(small(), later(), diff=True)
    assert p["legend"].is_displayed()
    width = p.width()
    red = p.pixel(0.01 * width, 2 * 18 + 3)  # work
    # Both sides together: main has 75 + 80 of 200, in it idle the last 15.
    blue = p.pixel(0.77 * width, 2 * 18 + 3)  # idle
    assert red[0] > red[2] + 30
    assert blue[2] > blue[0] + 30


def test_a_pivot_compares_too(page):
    p = page(small(), later(), diff=True)
    (button,) = [b for b in p.all("#top tbody button") if b.text == "parse"]
    button.click()
    frames = p.frames()
    assert frames["parse", "idle"].endswith(
        "total 0.0% (0.0%), before 15.0%, difference -15.0%"
    )


def test_how_good_a_profile_is_and_what_it_cost(page):
    p = page(small(), later())
    cells = [
        [c.text for c in row.find_elements("css selector", "td,th")][3:]
        for row in p.all("#profiles tbody tr")
    ]
    assert cells == [
        [
            "2023-11-14 22:13:20",
            "10.0 s",
            "5",
            "998",
            "2",
            "0.31% of a core (3.10 ms of CPU)",
        ],
        ["2023-11-14 22:13:20", "20.0 s", "2", "", "", ""],
    ]


def test_a_comment_of_somebody_else_is_no_figure(page):
    data = profile([(["main"], [1, MS], {})], comments=["x " + SAMPLER, "sampler: -"])
    p = page(data)
    assert p.all("#profiles tbody td")[-1].text == ""
