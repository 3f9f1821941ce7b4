"""The page as the local service serves it."""

import contextlib
import http.server
import threading
import time

import pytest
from browser import Page, wait_for
from googlecloudprofiler import _selection, _serve, _web
from made import MS, heap, later, profile, small
from profiles import Read, googles_pprof
from stored import HOUR, Shelf

TOKEN = "a-token-of-the-tests-own"
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e&amp;=#"


class Service:
    def __init__(self, folder, driver):
        self._decode = _serve.native().decode_profile
        self.shelf = Shelf(folder, self._decode)
        self.page = Page(driver)
        self.server = None

    def start(self, **options):
        self.server = _web.Server(
            "127.0.0.1:0",
            self.shelf.directory,
            self._decode,
            "http://127.0.0.1:8181",
            **options,
        )
        self.server.start()

    def visit(self, hash=""):
        if self.server is None:
            self.start()
        return self.page.visit(self.server.url, hash)


@pytest.fixture
def service(driver, tmp_path):
    """Nothing may be complained of in the browser, other than what a test takes."""
    driver.get("about:blank")
    driver.get_log("browser")
    service = Service(tmp_path / "store", driver)
    yield service
    if service.server is not None:
        service.server.close()
    assert service.page.log() == []


def choose(p, name, text):
    p.select(p.field(name), text)
    p.loaded()


def choices(p, name):
    return [o.text for o in p.field(name).find_elements("tag name", "option")]


def refresh(p):
    p["refresh"].click()
    return p.loaded()


def totals(p):
    return {row[0]: row[3] for row in p.rows()}


def one(name, ms=10, seconds=10):
    return profile([([name], [1, ms * MS], {})], seconds=seconds)


def set_time(p, name, text):
    """As a person would leave the field, whose keys depend on the language."""
    p.driver.execute_script(
        "arguments[0].value = arguments[1];"
        "arguments[0].dispatchEvent(new Event('change', { bubbles: true }))",
        p.field(name),
        text,
    )
    p.loaded()


def test_an_empty_store_says_how_to_point_a_program_to_it(service):
    p = service.visit()
    assert p["welcome"].is_displayed() and not p["views"].is_displayed()
    words = p["welcome"].text
    assert "GOOGLE_CLOUD_PROFILER_ENDPOINT=http://127.0.0.1:8181 python3" in words
    assert 'api_endpoint="http://127.0.0.1:8181"' in words
    assert service.shelf.directory in words
    service.shelf.put(data=small())
    refresh(p)
    assert not p["welcome"].is_displayed()
    assert totals(p)["main"] == "75.0 ms"


def test_what_is_shown_first_is_the_newest_service(service):
    service.shelf.put("old", hour=1, data=one("of_old"))
    service.shelf.put("new", hour=2, data=one("of_new"))
    p = service.visit()
    assert totals(p) == {"of_new": "10.0 ms"}
    assert p["say"].text == "1 profile"


def test_services_types_versions_and_zones_are_choices(service):
    put = service.shelf.put
    put("shop", version="1", zone="a", data=one("v1a", 1))
    put("shop", version="2", zone="a", data=one("v2a", 2))
    put("shop", version="2", zone="b", data=one("v2b", 4))
    put("shop", "HEAP", version="3", data=heap())
    put("db", data=one("query"))
    p = service.visit()
    assert choices(p, "target") == ["db", "shop"]
    choose(p, "target", "shop")
    assert choices(p, "type") == ["CPU", "HEAP"]
    assert choices(p, "version") == ["all", "1", "2", "3"]
    assert choices(p, "zone") == ["all", "none", "a", "b"]
    assert set(totals(p)) == {"v1a", "v2a", "v2b"}
    choose(p, "version", "2")
    assert set(totals(p)) == {"v2a", "v2b"}
    choose(p, "zone", "b")
    assert set(totals(p)) == {"v2b"}
    choose(p, "version", "1")
    assert p["say"].text == "0 profiles" and not p["views"].is_displayed()
    choose(p, "zone", "all")
    assert set(totals(p)) == {"v1a"}
    choose(p, "version", "all")
    choose(p, "type", "HEAP")
    assert totals(p) == {"main": "3.20 MB"}
    choose(p, "target", "db")
    assert totals(p) == {"query": "10.0 ms"}


def test_times_are_a_choice(service):
    now = int(time.time() // HOUR)
    for hours in (0, 10, 100, 1000):
        service.shelf.put(hour=now - hours, data=one("h%d" % hours))
    p = service.visit()
    assert len(totals(p)) == 4
    choose(p, "when", "in the last day")
    assert set(totals(p)) == {"h0", "h10"}
    choose(p, "when", "in the last week")
    assert set(totals(p)) == {"h0", "h10", "h100"}


def test_a_time_between_two_others_is_in_utc(service):
    for hour in (1, 2, 3):
        service.shelf.put(hour=hour, data=one("h%d" % hour))
    p = service.visit()
    choose(p, "when", "between")
    set_time(p, "from", "1970-01-01T02:00")
    assert set(totals(p)) == {"h2", "h3"}
    set_time(p, "to", "1970-01-01T03:00")
    assert set(totals(p)) == {"h2"}


def test_many_profiles_are_merged_into_one_graph(service):
    service.shelf.put(data=small())
    service.shelf.put(data=later())
    p = service.visit()
    assert p["say"].text == "2 profiles"
    want = {}
    for data in (small(), later()):
        for frames, values, _ in Read(data).stacks:
            for name in {f[0] for f in frames}:
                want[name] = want.get(name, 0) + values[1]
    assert totals(p) == {
        name: "%.*f ms" % (0 if value >= 100 * MS else 1, value / MS)
        for name, value in want.items()
    }
    p.choose("weight", "by the second")
    assert totals(p)["main"] == "5.17 ms/s"  # 155 ms in 30 s


def test_threads_are_a_choice_over_all_profiles(service):
    service.shelf.put(data=small())
    service.shelf.put(data=later())
    p = service.visit()
    (select,) = p.all("#labels select")
    p.select(select, "two")
    assert totals(p) == {
        "main": "25.0 ms",
        "work": "10.0 ms",
        "idle": "15.0 ms",
        "parse": "15.0 ms",
        "other": "45.0 ms",
    }


def shares(data):
    """{function: share of all time in it and below}, by another reader."""
    read = Read(data)
    names = {f[0] for frames, _, _ in read.stacks for f in frames}
    return {name: read.share_with(lambda f, n=name: f[0] == n) for name in names}


def test_two_versions_compared_differ_by_what_their_files_say(service):
    service.shelf.put(version="1", data=small())
    service.shelf.put(version="2", data=later())
    p = service.visit()
    choose(p, "version", "2")
    p.field("compare").click()
    p.loaded()
    choose(p, "before.version", "1")
    assert p["say"].text == "1 profile, compared with 1 profile"
    before, now = shares(small()), shares(later())
    want = {
        name: (now.get(name, 0), now.get(name, 0) - before.get(name, 0))
        for name in {*before, *now}
    }

    def percent(text):
        return float(text.rstrip("%")) / 100

    shown = {row[0]: (percent(row[3]), percent(row[5])) for row in p.rows()}
    assert shown == {name: pytest.approx(pair, abs=6e-4) for name, pair in want.items()}
    # And drawn: in width both together, in colour the difference.
    idle = p.frames()["all", "main", "idle"]
    assert idle.endswith("before 15.0%, difference -15.0%")
    width = p.width()
    red, blue = p.pixel(0.01 * width, 2 * 18 + 3), p.pixel(0.77 * width, 2 * 18 + 3)
    assert red[0] > red[2] + 30
    assert blue[2] > blue[0] + 30


def test_two_times_compared(service):
    now = int(time.time() // HOUR)
    service.shelf.put(hour=now - 30, data=one("before"))
    service.shelf.put(hour=now - 2, data=one("now"))
    p = service.visit()
    choose(p, "when", "in the last day")
    p.field("compare").click()
    p.loaded()
    choose(p, "before.when", "as long before that")
    assert {row[0]: row[5] for row in p.rows()} == {
        "now": "+100.0%",
        "before": "-100.0%",
    }
    choose(p, "before.when", "between")
    set_time(p, "before.to", "1971-01-01T00:00")
    assert p["say"].text == "1 profile, compared with 0 profiles"
    assert totals(p) == {"now": "10.0 ms"}


def test_what_was_left_out_is_told(service, monkeypatch):
    monkeypatch.setattr(_selection, "MAX_PROFILES", 2)
    for hour in range(4):
        service.shelf.put(hour=hour, data=one("h%d" % hour))
    p = service.visit()
    assert p["say"].text == "the newest 2 of 4 profiles (choose fewer to see others)"
    assert set(totals(p)) == {"h2", "h3"}


def test_a_new_profile_is_there_after_a_refresh(service):
    service.shelf.put(hour=1, data=one("first"))
    p = service.visit()
    service.shelf.put(hour=2, data=one("second"))
    assert set(totals(refresh(p))) == {"first", "second"}
    service.shelf.put(hour=3, data=one("third"))
    p.driver.refresh()
    assert len(totals(p.loaded())) == 3


def test_a_refresh_keeps_what_one_looks_at(service):
    service.shelf.put(hour=1, data=small())
    service.shelf.put(hour=2, data=later())
    p = service.visit()
    p.all("#profiles tbody input[aria-label^=show]")[0].click()  # later()
    (button,) = [b for b in p.all("#top tbody button") if b.text == "parse"]
    button.click()
    p["search"].send_keys("i")
    seen = p.frames(), p.rows()
    # Its functions come first, and so have the numbers that others had.
    service.shelf.put(hour=3, data=one("another"))
    refresh(p)
    assert p.text("pivoted").endswith("parse")
    assert (p.frames(), p.rows()) == seen
    p.driver.refresh()
    p.loaded()
    assert (p.frames(), p.rows()) == seen


def test_the_address_is_all_that_was_chosen_and_back_undoes_it(service):
    service.shelf.put("a", version="1", data=one("a1"))
    service.shelf.put("a", version="2", data=one("a2"))
    service.shelf.put("b", data=one("b1"))
    p = service.visit()
    choose(p, "target", "a")
    choose(p, "version", "1")
    p.choose("weight", "share of all")
    assert totals(p) == {"a1": "100.0%"}
    hash = "#" + p.driver.current_url.partition("#")[2]
    service.visit(hash)
    assert totals(p) == {"a1": "100.0%"}
    choose(p, "version", "2")
    assert totals(p) == {"a2": "100.0%"}
    p.driver.back()
    assert wait_for(lambda: totals(p) == {"a1": "100.0%"})


@pytest.mark.parametrize(
    "hash",
    [
        "#target=nobody&type=NONE&version=9",
        "#version=%00&zone=%22%3E&when=1e999&from=x&compare=1&before.when=-1",
        "#when=between&from=0000-00-00&to=99999999999&pivot=x&show=y&zoom=3",
        "#when=previous&before.when=previous&compare=&base=z&kind=w",
    ],
)
def test_an_address_of_nonsense_does_no_harm(service, hash):
    service.shelf.put(data=small())
    p = service.visit(hash)
    assert p["say"].text and "cannot" not in p["say"].text
    choose(p, "version", "all")
    choose(p, "zone", "all")
    choose(p, "when", "at any time")
    if p.field("compare").is_selected():
        p.field("compare").click()
        p.loaded()
    assert totals(p)["main"] == "75.0 ms"


def test_names_from_outside_are_text(service):
    shown = HOSTILE.replace("\u202e", "\\u{202e}")
    service.shelf.put(
        HOSTILE,
        version=HOSTILE,
        zone=HOSTILE,
        process=HOSTILE,
        data=profile(
            [
                ([(HOSTILE, HOSTILE, 3, 2)], [1, MS], {HOSTILE: HOSTILE}),
                (["leaf"], [1, MS], {HOSTILE: "x"}),
            ]
        ),
    )
    p = service.visit()
    choose(p, "version", shown)
    choose(p, "zone", shown)
    assert shown in totals(p)
    assert choices(p, "target") == [shown]
    assert p.all("#profiles tbody th")[0].text.startswith(shown + ", " + shown)
    assert p.all("img, iframe, [onerror]") == []
    assert p.driver.title == "Profile"
    service.visit("#" + p.driver.current_url.partition("#")[2])
    assert shown in totals(p)


def test_files_come_as_they_were_stored(service, driver):
    data = small()
    id = service.shelf.put(data=data)
    p = service.visit()
    (link,) = p.all("#profiles tbody a")
    path = driver.downloads / (id + ".pb.gz")
    for button in (p["save-pprof"], link):
        button.click()
        assert wait_for(lambda: path.exists() and path.read_bytes() == data)
        path.unlink()


@pytest.mark.parametrize("sort, option", [("self", "-flat"), ("total", "-cum")])
def test_gos_pprof_reads_a_profile_from_the_service(service, tmp_path, sort, option):
    """And its ten largest functions are those of the page."""
    stacks = [(["f%d" % (i % 7), "g%d" % i], [1, (i + 1) * MS], {}) for i in range(30)]
    id = service.shelf.put(data=profile(stacks))
    p = service.visit()
    options = ["-top", option, "-unit=ms", "-nodecount=10", "-nodefraction=0"]
    said = googles_pprof(tmp_path, *options, service.server.url + "profile?id=" + id)
    lines = [line.split(None, 5) for line in said.splitlines()]
    theirs, ours = [], []
    for row in lines:
        if len(row) == 6 and row[0].rstrip("ms").isdigit():
            theirs.append((row[5], float(row[0 if sort == "self" else 3].rstrip("ms"))))
    p.all("#top [data-sort=%s]" % sort)[0].click()
    for row in p.rows()[:10]:
        ours.append((row[0], float(row[1 if sort == "self" else 3].split()[0])))
    assert len(theirs) == 10
    assert ours == theirs


def test_a_service_that_has_gone_is_told(service):
    service.shelf.put(data=small())
    p = service.visit()
    service.server.close()
    refresh(p)
    assert p["say"].text == "the service does not answer: is it still running?"
    assert totals(p)["main"] == "75.0 ms"
    assert any("ERR_CONNECTION_REFUSED" in m for m in p.log())


def test_what_the_service_refuses_is_told_in_its_words(service, monkeypatch):
    service.shelf.put(data=small())
    p = service.visit()
    monkeypatch.setattr(_selection._html, "MAX_FRAMES", 1)
    refresh(p)
    assert p["say"].text == "this is too much for a page: give fewer profiles"
    assert any("400" in m for m in p.log())


def test_a_token_is_asked_for_once(service):
    service.shelf.put(data=small())
    service.start(token=TOKEN)
    p = service.visit()
    assert p["login"].is_displayed() and not p["views"].is_displayed()
    p["token"].send_keys("another-token-than-that", "\n")
    assert wait_for(lambda: "not the service's token" in p["say"].text)
    p["token"].send_keys(TOKEN, "\n")
    assert wait_for(lambda: p["views"].is_displayed())
    assert totals(p)["main"] == "75.0 ms"
    assert p.driver.execute_script("return document.cookie") == ""
    assert TOKEN not in p.driver.page_source + p.driver.current_url
    p.driver.refresh()
    p.loaded()
    assert totals(p)["main"] == "75.0 ms"
    assert all("401" in m for m in p.log())


ATTACK = """<!DOCTYPE html><title>attack</title><body><script>
const url = "%s";
const tries = {
  read: () => fetch(url + "stored").then((r) => r.text()),
  login: () => fetch(url + "login", { method: "POST", body: "x",
    headers: { "X-Profiler-Page": "1" } }).then((r) => r.status),
  script: () => new Promise((yes, no) => {
    const s = document.createElement("script");
    s.src = url + "stored"; s.onload = yes; s.onerror = no; document.body.append(s);
  }),
  image: () => new Promise((yes, no) => {
    const i = new Image(); i.src = url + "page.css"; i.onload = yes; i.onerror = no;
  }),
  blind: () => fetch(url + "stored", { mode: "no-cors" }),
  frame: () => new Promise((yes, no) => {
    const f = document.createElement("iframe");
    f.src = url; f.onload = () => setTimeout(() => {
      try { yes(f.contentWindow.location.href); } catch (e) { no(e); }
    }, 100);
    document.body.append(f);
  }),
};
Promise.all(Object.entries(tries).map(async ([name, act]) => {
  try { await act(); return name; } catch { return null; }
})).then((done) => { document.title = "done: " + done.filter(Boolean).join(" "); });
</script>"""


def test_a_page_of_another_origin_gets_nothing(service):
    """As one that a person opens by chance while the service runs."""
    service.shelf.put(data=small())
    service.start(token=TOKEN)
    text = (ATTACK % service.server.url).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *words):
            pass

    driver = service.page.driver
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as attacker:
        thread = threading.Thread(target=attacker.serve_forever)
        thread.start()
        with contextlib.closing(contextlib.ExitStack()) as stack:
            stack.callback(thread.join)
            stack.callback(attacker.shutdown)
            driver.get("http://127.0.0.1:%d/" % attacker.server_address[1])
            assert wait_for(lambda: driver.title.startswith("done:"))
            assert driver.title == "done:"
    assert any("frame-ancestors" in m for m in service.page.log())


@pytest.mark.parametrize(
    "code, word",
    [
        ("const s = document.createElement('script'); s.text = 'document.title = 1';"
         "document.body.append(s)", "TrustedScript"),
        ("document.body.setAttribute('style', 'color: red')", "style-src"),
        ("fetch('http://127.0.0.1:9/')", "connect-src"),
        ("document.body.innerHTML = '<b>'", "TrustedHTML"),
        ("const i = new Image(); i.src = '/page.css'", "img-src"),
    ],
)  # fmt: skip
def test_code_within_the_page_could_not(service, code, word):
    service.shelf.put(data=small())
    p = service.visit()
    p.driver.execute_script("try { %s } catch (e) { console.error(String(e)) }" % code)
    assert wait_for(lambda: any(word in m for m in p.log()))
    assert p.driver.title == "Profile"
