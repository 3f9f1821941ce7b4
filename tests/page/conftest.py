"""Pages as `show --html` writes them, in one headless Chromium."""

import subprocess
import sys

import browser
import pytest
from browser import Page


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    reason = browser.missing()
    if reason:
        pytest.skip(reason)
    downloads = tmp_path_factory.mktemp("downloads")
    driver = browser.start(downloads)
    driver.downloads = downloads
    yield driver
    driver.quit()


@pytest.fixture
def show(tmp_path):
    """show(*profiles, diff=False) writes a page of gzipped profiles by the command
    line and returns its path."""

    def write(*profiles, diff=False):
        files = []
        for i, data in enumerate(profiles):
            files.append(tmp_path / ("%d.pb.gz" % i))
            files[-1].write_bytes(data)
        out = tmp_path / "out.html"
        subprocess.run(
            [
                *(sys.executable, "-m", "googlecloudprofiler", "show"),
                *("--html", str(out), *(["--diff"] if diff else [])),
                *map(str, files),
            ],
            check=True,
            timeout=120,
        )
        return out

    return write


@pytest.fixture
def page(driver, show):
    """page(*profiles, diff=False, hash="") opens them; nothing may be complained of."""
    opened = []

    def open(*profiles, diff=False, hash=""):
        opened.append(Page(driver).open(show(*profiles, diff=diff), hash))
        return opened[-1]

    driver.get("about:blank")
    driver.get_log("browser")
    yield open
    for p in opened:
        assert p.log() == []
