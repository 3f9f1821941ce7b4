"""What the page hands out: the file as it came, collapsed stacks, the view as SVG."""

import xml.etree.ElementTree

import pytest
from browser import wait_for
from made import MS, later, profile, small

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def saved(driver):
    """saved(page, button, name) presses a button and returns the file that came."""

    def get(page, button, name):
        path = driver.downloads / name
        path.unlink(missing_ok=True)
        page[button].click()
        wait_for(lambda: path.exists() and path.stat().st_size)
        data = path.read_bytes()
        path.unlink()
        return data

    return get


def test_the_file_as_it_came(page, saved):
    data = small()
    assert saved(page(data), "save-pprof", "0.pb.gz") == data


def test_collapsed_stacks(page, saved):
    text = saved(page(small()), "save-text", "profile.txt").decode()
    assert sorted(text.splitlines()) == [
        "main;idle;parse 15000000",
        "main;work 10000000",
        "main;work;parse 30000000",
        "main;work;parse;parse 20000000",
        "other 25000000",
    ]


def test_collapsed_stacks_of_a_comparison_have_both_numbers(page, saved):
    p = page(small(), later(), diff=True)
    p.choose("weight", "as recorded")
    text = saved(p, "save-text", "profile.txt").decode()
    assert "other 25000000 20000000" in text.splitlines()
    assert "main;idle;parse 15000000 0" in text.splitlines()


def test_the_view_as_svg(page, saved):
    p = page(small())
    p["search"].send_keys("idle")
    root = xml.etree.ElementTree.fromstring(saved(p, "save-svg", "profile.svg"))
    boxes = {
        g.find(SVG + "title").text.split(", ")[0]: g.find(SVG + "rect")
        for g in root.iter(SVG + "g")
    }
    width = float(root.get("width"))
    assert set(boxes) == {"all", "main", "work", "idle", "parse", "other"}
    assert float(boxes["idle"].get("x")) == pytest.approx(0.6 * width, abs=1)
    assert float(boxes["idle"].get("width")) == pytest.approx(0.15 * width, abs=1)
    assert boxes["idle"].get("fill") == "#ffd21f"
    words = [t.text for t in root.iter(SVG + "text")]
    assert words.count("parse") == 3


def test_a_hostile_name_in_an_svg_is_text(page, saved):
    name = "</text><script>alert(1)</script>\x1b"
    p = page(profile([([name], [1, MS], {})]))
    root = xml.etree.ElementTree.fromstring(saved(p, "save-svg", "profile.svg"))
    assert list(root.iter(SVG + "script")) == []
    assert any(name[:-1] in t.text for t in root.iter(SVG + "title"))
