"""Bar charts as SVG, to be read on a light page and on a dark one."""

import xml.sax.saxutils

STYLE = """
  .back { fill: #ffffff } .text { fill: #24292f } .line { stroke: #afb8c1 }
  .bar { fill: #8c959f } .ours { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117 } .text { fill: #e6edf3 } .line { stroke: #484f58 }
    .bar { fill: #6e7681 } .ours { fill: #58a6ff }
  }
  text { font: 12px sans-serif } .title { font-weight: bold }
"""
WIDTH = 760
LABEL = 230  # where bars begin
VALUE = 90  # room for the figure behind the longest
ROW = 18
GAP = 14


def bars(path, title, groups):
    """Write a chart of `groups`: pairs (words, [(name, value)]), or of triples (name,
    value, (least, most)) with a line for that interval. Values are not negative; those
    of names that begin with "ours" stand out."""
    longest = max(
        [end for _, group in groups for bar in group for end in _ends(bar)], default=0)
    scale = (WIDTH - LABEL - VALUE) / (longest or 1)
    shapes = [_text(10, 22, title, "title")]
    y = 22
    for words, group in groups:
        y += GAP + ROW
        shapes.append(_text(10, y, words, "title"))
        for bar in group:
            y += ROW
            shapes += _bar(bar, y, scale)
    height = y + GAP
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
            'viewBox="0 0 %d %d" role="img">\n<title>%s</title>\n<style>%s</style>\n'
            '<rect class="back" width="100%%" height="100%%"/>\n%s\n</svg>\n'
            % (WIDTH, height, WIDTH, height, _escape(title), STYLE, "\n".join(shapes))
        )


def _ends(bar):
    return (bar[1], *(bar[2] if len(bar) > 2 else ()))


def _bar(bar, y, scale):
    name, value = bar[:2]
    kind = "ours" if name.startswith("ours") else "bar"
    yield _text(LABEL - 8, y, name, anchor="end")
    yield '<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>' % (
        kind, LABEL, y - ROW + 7, max(value * scale, 1), ROW - 5)
    if len(bar) > 2:
        low, high = (LABEL + max(end, 0) * scale for end in bar[2])
        yield '<path class="line" stroke-width="2" d="M%.1f %dH%.1f"/>' % (
            low, y - 4, high)
    yield _text(LABEL + max(map(float, _ends(bar))) * scale + 6, y, "%.3g" % value)


def _text(x, y, words, kind="", anchor="start"):
    return '<text class="%s" x="%.1f" y="%d" text-anchor="%s">%s</text>' % (
        ("text " + kind).strip(), x, y, anchor, _escape(words))


def _escape(words):
    return xml.sax.saxutils.escape(words)
