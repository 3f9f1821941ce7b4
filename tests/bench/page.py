"""How fluid the page is: a profile of 100,000 distinct stacks in a real browser.

    page.py [STACKS]

Prints how long the page takes to be written, to open, to pivot and to search, and the
frames a second while one zooms and pans over everything, with the slowest of them.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", name) for name in ("page", "e2e")]

import browser  # noqa: E402
from made import profile  # noqa: E402

SECONDS = 5
DEPTH = (15, 45)
FUNCTIONS = 4000

# One event a frame, as a wheel or a finger gives them; the page draws in the frame
# after it. The window goes in to a hundredth, then along, then out again.
MOVE = """
const [seconds, done] = arguments;
const canvas = document.getElementById("canvas");
const box = canvas.getBoundingClientRect();
const frames = [];
let last = performance.now();
const end = last + seconds * 1000;
function step(now) {
  frames.push(now - last);
  last = now;
  if (now >= end) { done(frames.slice(1)); return; }
  const part = frames.length % 120;
  const zooms = part < 40 || part >= 80;
  const event = { bubbles: true, cancelable: true,
    clientX: box.left + box.width * (0.3 + 0.4 * Math.sin(frames.length / 50) ** 2),
    clientY: box.top + 50 };
  if (zooms) Object.assign(event, { ctrlKey: true, deltaY: part < 40 ? -40 : 40 });
  else event.deltaX = 30;
  canvas.dispatchEvent(new WheelEvent("wheel", event));
  requestAnimationFrame(step);
}
requestAnimationFrame(step);
"""


def stacks(nr):
    """Stacks that share their beginnings, as those of a program do: each goes some
    way along the one before it."""
    chance = random.Random(1)
    seen = set()
    stack = ["main"]
    while len(seen) < nr:
        depth = chance.randint(*DEPTH)
        shared = chance.randint(1, max(1, min(len(stack), depth) - 1))
        stack = stack[:shared] + [
            "function_%d" % chance.randrange(FUNCTIONS) for _ in range(depth - shared)
        ]
        if tuple(stack) not in seen:
            seen.add(tuple(stack))
            yield stack, [1, chance.randint(1, 10**7)], {"thread": str(len(seen) % 8)}


def timed(what):
    start = time.monotonic()
    what()
    return time.monotonic() - start


def main():
    reason = browser.missing()
    if reason:
        sys.exit("page.py: " + reason)
    nr = int(sys.argv[1]) if len(sys.argv) > 1 else 100000
    with tempfile.TemporaryDirectory() as folder:
        source, out = os.path.join(folder, "a.pb.gz"), os.path.join(folder, "a.html")
        with open(source, "wb") as f:
            f.write(profile(stacks(nr)))
        command = [sys.executable, "-m", "googlecloudprofiler", "show"]
        written = timed(
            lambda: subprocess.run([*command, "--html", out, source], check=True)
        )
        print("%d stacks, page of %.1f MB" % (nr, os.path.getsize(out) / 1e6))
        print("written in %.1f s" % written)
        driver = browser.start(folder)
        try:
            measure(browser.Page(driver), out)
        finally:
            driver.quit()


def measure(page, path):
    print("opened in %.1f s" % timed(lambda: (page.open(path), page.settle())))
    nodes = page.driver.execute_script(
        "return JSON.parse(document.getElementById('data').textContent).parent.length"
    )
    print("frames in the tree: %d" % nodes)
    page.driver.set_script_timeout(SECONDS * 10)
    times = page.driver.execute_async_script(MOVE, SECONDS)
    times.sort()
    print(
        "%.1f frames a second; a frame takes %.1f ms (median), %.1f ms (of 100 the"
        " 99th), %.1f ms (longest)"
        % (
            1000 * len(times) / sum(times),
            times[len(times) // 2],
            times[int(len(times) * 0.99)],
            times[-1],
        )
    )
    print(
        "search in %.2f s"
        % timed(lambda: (page["search"].send_keys("7"), page.settle()))
    )
    pivot = page.all("#top tbody button")[0]
    print("pivot in %.2f s" % timed(lambda: (pivot.click(), page.settle())))
    print(json.dumps({"browser": page.driver.capabilities["browserVersion"]}))


if __name__ == "__main__":
    main()
