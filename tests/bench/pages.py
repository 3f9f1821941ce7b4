"""Markdown of a page of docs/: tables, the machine, and what stands between marks."""

import os
import platform
import re
import statistics
import time


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return ["| %s |" % " | ".join(cells) for cells in lines]


def with_spread(values, digits):
    """The median and, where they differ, the least and the most."""
    texts = ["%.*f" % (digits, f(values)) for f in (statistics.median, min, max)]
    return texts[0] if texts[1] == texts[2] else "%s (%s to %s)" % tuple(texts)


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        match = re.search(r"^model name\s*: (.*)$", file.read(), re.MULTILINE)
    return match.group(1) if match else platform.machine()


def machine(load):
    """The line that says when and on what; `load` is of before."""
    return "- %s: %s, %d CPUs, Linux %s, %s; load %.1f when it began" % (
        time.strftime("%Y-%m-%d"),
        cpu_model(),
        os.cpu_count(),
        platform.release(),
        " ".join(platform.libc_ver()) or "no glibc",
        load,
    )


def picture(page, name):
    """(where a picture of a page goes, what the page says to show it)."""
    folder = os.path.join(os.path.dirname(page), "benchmarks")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name), "![%s](benchmarks/%s)" % (
        name.partition(".")[0], name)


def publish(page, name, lines, draw=None, picture_name=None):
    """Print the lines; where there is a page, put them there, and below them the
    picture that draw(path) makes."""
    print("\n".join(lines))
    if not page:
        return
    if draw:
        path, shown = picture(page, picture_name)
        draw(path)
        lines = [*lines, "", shown]
    write(page, name, lines)


def write(page, name, lines):
    """Put the lines between the marks that the script `name` has in a page."""
    with open(page, encoding="utf-8") as file:
        text = file.read()
    begin, end = "<!-- %s: begin -->\n" % name, "<!-- %s: end -->\n" % name
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    with open(page, "w", encoding="utf-8") as file:
        file.write(head + begin + "\n".join(lines) + "\n" + end + tail)
