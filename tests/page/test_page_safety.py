"""Names are text, and nothing runs or loads that does not belong to the page."""

import base64
import hashlib

import pytest
from browser import Page
from made import MS, profile, small

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    "<script>document.title='taken'</script>",
    "<!--<script>",
    "' onmouseover='alert(1)",
    "&lt;b&gt; &amp; ]]>",
    "__proto__",
    "constructor",
    "@DATA@ @SCRIPT@ $& $1",
    "a;b c",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_as_they_are(page, name):
    p = page(
        profile(
            [
                ([(name, name, 3, 2), "leaf"], [1, MS], {name: name, "other": "x"}),
                (["leaf"], [1, MS], {name: "else", "other": "y"}),
            ],
            comments=[name],
        )
    )
    assert name in {row[0] for row in p.rows()}
    assert name + ":2" in {row[-1] for row in p.rows()}
    p.go(1)
    p.go(0)
    assert any(words.startswith(name) for _, words in p.items().values())
    assert p.driver.title == "Profile"
    assert p.all("img, iframe, object, [onmouseover], [onerror]") == []
    assert len(p.all("script")) == 2


@pytest.mark.parametrize(
    "name, seen",
    [
        ("a\u202eb\u2066c", "a\\u{202e}b\\u{2066}c"),
        ("zero\u200bwidth", "zero\\u{200b}width"),
        ("line\nfeed\x1b[2J", "line\\u{a}feed\\u{1b}[2J"),
        ("tag\U000e0041", "tag\\u{e0041}"),
        ("\u05d0\u05d1\u05d2", "\u05d0\u05d1\u05d2"),
        ("caf\xe9 \u6f22 \U0001f600", "caf\xe9 \u6f22 \U0001f600"),
    ],
)
def test_what_cannot_be_seen_is_written_out(page, name, seen):
    p = page(profile([([name], [1, MS], {})]))
    assert [row[0] for row in p.rows()] == [seen]
    p.go(1)
    assert p.current().startswith(seen + ", ")


def test_a_name_of_ten_thousand_letters(page):
    p = page(profile([(["w" * 10000], [1, MS], {}), (["short"], [1, MS], {})]))
    assert {len(row[0]) for row in p.rows()} == {10000, 5}
    p.pointer(0.9, 1).click().perform()
    assert p.driver.execute_script(
        "return document.documentElement.scrollWidth <= innerWidth"
    )


def with_more(path, more):
    text = path.read_text()
    assert text.count("</main>") == 1
    path.write_text(text.replace("</main>", more + "</main>"))
    return path


@pytest.mark.parametrize(
    "more, word",
    [
        ("<script>document.title = 'taken'</script>", "script-src"),
        ("<img src=x onerror=\"document.title = 'taken'\">", "img-src"),
        ("<body onload=\"document.title = 'taken'\">", "script-src"),
        ("<iframe src='data:text/html,x'></iframe>", "frame-src"),
        ("<style>body { display: none }</style>", "style-src"),
        ("<link rel=stylesheet href=http://127.0.0.1:9/x.css>", "style-src"),
        ("<script src=http://127.0.0.1:9/x.js></script>", "script-src"),
    ],
)
def test_what_is_smuggled_in_neither_runs_nor_loads(driver, show, more, word):
    """And the browser says which rule of the policy it broke."""
    p = Page(driver).open(with_more(show(small()), more))
    log = p.log()
    assert p.driver.title == "Profile"
    assert p["outline"].is_displayed() or p.all("header")[0].is_displayed()
    assert any("Content Security Policy" in m and word in m for m in log), log


@pytest.mark.parametrize(
    "code, word",
    [
        ("fetch('http://127.0.0.1:9/')", "connect-src"),
        ("document.createElement('div').innerHTML = '<b>'", "TrustedHTML"),
        ("eval('1')", "eval"),
    ],
)
def test_code_of_the_page_itself_could_not(driver, show, code, word):
    """The policy that stands in the page, with one more script allowed."""
    p = Page(driver)
    path = show(small())
    more = (
        "<script>addEventListener('load', () => { try { %s } catch (e) {"
        " console.error(String(e)) } })</script>" % code
    )
    digest = hashlib.sha256(more[8:-9].encode()).digest()
    allowed = "script-src 'sha256-%s' " % base64.b64encode(digest).decode()
    path.write_text(path.read_text().replace("script-src ", allowed, 1))
    p.open(with_more(path, more))
    assert any(word in m for m in p.log())


def test_the_policy_names_hashes_only(show):
    text = show(small()).read_text()
    policy = text.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[
        0
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy
    assert text.index("Content-Security-Policy") < text.index("<style")
