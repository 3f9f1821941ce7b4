"""Light and dark, keys alone, and what a screen reader is told."""

import pytest
from browser import Keys
from made import later, small


@pytest.fixture
def prefers(driver):
    def set(scheme):
        driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )

    yield set
    set("")


def test_it_is_as_light_or_dark_as_the_system_asks(page, prefers):
    p = page(small())
    colours = {}
    for scheme in ("light", "dark"):
        prefers(scheme)
        p.settle()
        body = p.all("body")[0].value_of_css_property("background-color")
        colours[scheme] = (body, tuple(p.pixel(p.width() * 0.99, 18 * 2 + 5)))
    assert colours == {
        "light": ("rgba(255, 255, 255, 1)", (255, 255, 255)),
        "dark": ("rgba(22, 24, 28, 1)", (22, 24, 28)),
    }


def test_a_switch_beats_the_system(page, prefers):
    prefers("light")
    p = page(small())
    p["theme"].click()
    assert p["theme"].get_attribute("aria-pressed") == "true"
    assert p.pixel(p.width() * 0.99, 18 * 2 + 5) == [22, 24, 28]
    p["theme"].click()
    assert p.pixel(p.width() * 0.99, 18 * 2 + 5) == [255, 255, 255]


def test_everything_by_keys(page):
    p = page(small())
    p.press("g")
    p.press(Keys.DOWN)
    assert p.current().startswith("main,")
    p.press(Keys.RIGHT)
    assert p.current().startswith("other,")
    p.press(Keys.RIGHT)
    assert p.current().startswith("other,")
    p.press(Keys.LEFT, Keys.DOWN, Keys.RIGHT)
    assert p.current().startswith("idle,")
    p.press(Keys.ENTER)
    assert p.text("window") == "Seen: 60.0% to 75.0%"
    p.press(Keys.UP)
    assert p.current().startswith("main,")
    p.press(Keys.ESCAPE)
    assert p.text("window") == "Seen: 0.0% to 100.0%"
    p.press(Keys.DOWN, Keys.DOWN, "p")
    assert p.text("pivoted").endswith("work")
    p.press(Keys.UP)
    assert p.current().startswith("main,")
    p.press(Keys.DOWN, Keys.DOWN)
    assert p.current().startswith("parse,")
    p.press("+")
    assert p.text("window") == "Seen: 25.0% to 75.0%"
    p.press("]")
    assert p.text("window") == "Seen: 37.5% to 87.5%"
    p.press("-")
    p.press("/", "parse")
    assert p.text("matches") == "65.0% in 1 functions"
    p.press(Keys.TAB)
    p.press("?")
    assert p["keys"].get_attribute("open")
    p.press(Keys.ESCAPE)
    assert not p["keys"].get_attribute("open")


def test_tab_reaches_everything_and_says_what_it_is(page, driver):
    """Once around the page: each stop has a name, and can be seen to have the focus."""
    p = page(small(), later())
    nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    wanted = (
        "button",
        "checkbox",
        "combobox",
        "searchbox",
        "tree",
        "DisclosureTriangle",
    )
    controls = [
        (n["role"]["value"], n["name"]["value"])
        for n in nodes
        if not n["ignored"] and n.get("role", {}).get("value") in wanted
    ]
    assert len(controls) > 25
    assert [c for c in controls if not c[1]] == []
    reached = []
    while len(reached) < 100:
        p.press(Keys.TAB)
        tag, id, outline = driver.execute_script(
            "const a = document.activeElement; return"
            " [a.tagName, a.id, getComputedStyle(a).outlineStyle]"
        )
        if tag == "BODY":
            break
        reached.append(id)
        assert outline != "none", (tag, id)
    assert {"kind", "value", "weight", "search", "theme", "outline", "save-svg"} <= {
        *reached
    }
    assert len(reached) >= len(controls) - 2  # two buttons cannot do anything yet


def test_the_tree_says_where_one_is(page):
    p = page(small())
    p.go(1)
    p.go(3)
    (item,) = p.all("[role=treeitem][aria-selected=true]")
    said = [
        item.get_attribute("aria-" + name)
        for name in ("level", "posinset", "setsize", "expanded")
    ]
    assert said == ["3", "1", "2", "true"]
    (other,) = [
        i
        for i in p.all("[role=treeitem]")
        if "other" in i.text or i.get_attribute("textContent").startswith("idle")
    ]
    assert other.get_attribute("aria-posinset") == "2"


def test_a_reader_is_not_told_of_the_canvas_but_of_the_tree(page, driver):
    p = page(small())
    nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [n["role"]["value"] for n in nodes if not n["ignored"]]
    assert "Canvas" not in roles
    assert roles.count("tree") == 1 and roles.count("treeitem") == 3
    assert p["matches"].get_attribute("for") == "search"


def test_back_undoes_a_step(page, driver):
    p = page(small())
    p["outline"].send_keys(Keys.DOWN, "p")
    assert p.text("pivoted").endswith("main")
    driver.back()
    p.settle()
    assert p.text("pivoted") == ""
