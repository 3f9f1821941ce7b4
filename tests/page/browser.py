"""A page in a browser, by what a person has: keys, pointer, and what can be read."""

import shutil
import time

try:
    from selenium.webdriver.common.keys import Keys
except ImportError:
    Keys = None

PATIENCE_S = 20
CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")


def missing():
    """Why there is no browser here, or None."""
    if not (CHROMIUM and DRIVER):
        return "chromium is not installed: make test-page installs it"
    if not Keys:
        return "selenium is not installed: make test-page installs it"
    return None


def start(downloads, *arguments):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless=new",
        # Tests may be run by root; the pages are the tests' own.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1200,900",
        *arguments,
    ):
        options.add_argument(argument)
    options.add_experimental_option(
        "prefs", {"download.default_directory": str(downloads)}
    )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(DRIVER))


class Page:
    def __init__(self, driver):
        self.driver = driver

    def open(self, path, hash=""):
        self.driver.get("about:blank")
        self.driver.get("file://%s%s" % (path, hash))
        return self

    def visit(self, url, hash=""):
        """The page of a service, with what it has loaded."""
        self.driver.get("about:blank")
        self.driver.get(url + hash)
        return self.loaded()

    def loaded(self):
        assert wait_for(lambda: self.text("say") != "Loading\u2026")
        return self

    def field(self, name):
        return self.driver.find_element("name", name)

    def __getitem__(self, id):
        return self.driver.find_element("id", id)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def text(self, id):
        """The text of an element, seen or not."""
        return self[id].get_attribute("textContent").strip()

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def choose(self, id, text):
        self.select(self[id], text)

    def select(self, element, text):
        from selenium.webdriver.support.ui import Select

        Select(element).select_by_visible_text(text)

    def choices(self, id):
        return [o.get_attribute("textContent") for o in self.all("#%s option" % id)]

    def log(self):
        """What the browser complained of since it was asked last, other than of how
        pixel() reads."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [m for m in messages if "willReadFrequently" not in m]

    # The tree that stands for the graph.

    def items(self):
        """{number: (level, words)} of the frames around the current one."""
        return {
            int(i.get_attribute("data-node")): (
                int(i.get_attribute("aria-level")),
                i.get_attribute("textContent"),
            )
            for i in self.all("[role=treeitem]")
        }

    def current(self):
        (item,) = self.all("[role=treeitem][aria-selected=true]")
        assert self["outline"].get_attribute("aria-activedescendant") == (
            item.get_attribute("id")
        )
        return item.get_attribute("textContent")

    def go(self, node):
        self.driver.execute_script(
            "document.querySelector(`[data-node='${arguments[0]}']`).click()", node
        )

    def frames(self):
        """{names from the root: words} of the whole tree, read by going through it
        as a screen reader would."""
        found = {}

        def walk(node, above):
            self.go(node)
            items = list(self.items().items())
            at = [n for n, _ in items].index(node)
            level, words = items[at][1]
            way = (*above, words.split(", ")[0])
            found[way] = words
            for child, (deeper, _) in items[at + 1 :]:
                if deeper <= level:
                    break
                walk(child, way)
                self.go(node)

        walk(0, ())
        return found

    # The table.

    def rows(self):
        """[[cell, ...], ...] of the functions."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll('#top tbody tr')]"
            ".map(r => [...r.cells].map(c => c.textContent))"
        )

    # The canvas.

    def pixel(self, x, y):
        """The colour of what is drawn at a place of the canvas."""
        self.settle()
        return self.driver.execute_script(
            "const r = devicePixelRatio; return [...document.getElementById('canvas')"
            ".getContext('2d').getImageData(arguments[0] * r, arguments[1] * r, 1, 1)"
            ".data]",
            x,
            y,
        )[:3]

    def width(self):
        return self["canvas"].size["width"]

    def settle(self):
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    def pointer(self, share, row):
        """A chain of actions that begins over a row of the graph."""
        from selenium.webdriver import ActionChains

        size = self["canvas"].size
        return ActionChains(self.driver).move_to_element_with_offset(
            self["canvas"],
            int((share - 0.5) * size["width"]),
            int(row * 18 + 9 - size["height"] / 2),
        )


def wait_for(what):
    """The first true value of what() within PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)
