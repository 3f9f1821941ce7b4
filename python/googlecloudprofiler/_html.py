"""Profiles as one HTML file that needs nothing else: `show --html`."""

import base64
import collections
import contextlib
import json
import os
import tempfile

from googlecloudprofiler import _top

MARK = "@DATA@"

# Strangers' profiles are bounded in bytes where they are decoded, which some bytes can
# turn into far more frames.
MAX_FRAMES = 50000000  # of all stacks, one after the other: a minute
MAX_NODES = 4000000  # of the tree; 100,000 stacks of 30 frames, all different, take 1.8
MAX_DEPTH = 1024  # of a stack; what is deeper loses its middle, as the sampler's do
ROOT_DEPTH = 256  # of that, from the root

Source = collections.namedtuple("Source", "title kind file data profile")
Source.__doc__ = """One profile: its title, its kind (those of one kind are merged), the
name that its download gets, its bytes as stored (None where the page gets them
elsewhere), and as decoded."""


def source(title, data, profile):
    """The Source of a profile whose title is its file's path or ends with it."""
    return Source(title, kind_of(profile), os.path.basename(title), data, profile)


class HtmlError(Exception):
    """No page could be written; the message is one line for a person."""


class _Numbers(dict):
    """Numbers things in the order in which they are asked for."""

    def __missing__(self, thing):
        self[thing] = len(self)
        return self[thing]


class _Stacks:
    """One tree of all stacks over one table of functions.

    A node's parent has a smaller number; node 0 is above all roots. It has the frame
    0, which nobody looks at.
    """

    def __init__(self):
        self.strings = _Numbers()
        self.functions = _Numbers()
        self.frames = _Numbers()
        self._nodes = {}  # (parent, frame) -> its number
        self._known = {}  # a frame as it comes -> its number
        self._left = MAX_FRAMES
        self.parent = [-1]
        self.frame = [0]

    def expect(self, frames):
        """HtmlError when that many more frames are too many."""
        self._left -= frames
        if self._left < 0 or len(self.parent) > MAX_NODES:
            raise HtmlError("this is too much for a page: give fewer profiles")

    def node(self, frames):
        """The node of a stack, whose frames come leaf first."""
        node = 0
        nodes, known = self._nodes, self._known
        # Millions of frames go through here, nearly all of which are known.
        for frame in reversed(frames):
            number = known.get(frame)
            if number is None:
                number = known[frame] = self._number(*frame)
            found = nodes.get((node, number))
            if found is None:
                found = nodes[node, number] = len(self.parent)
                self.parent.append(node)
                self.frame.append(number)
            node = found
        return node

    def _number(self, name, file, line, start_line):
        function = self.functions[self.strings[name], self.strings[file], start_line]
        return self.frames[function, line]


def write(path, sources, compare=None):
    """Write a page of some profiles; a file that is there is replaced whole.

    sources: at least one. compare: their numbers, [those before, those after].
    """
    before, after = _template()
    text = json.dumps(content(sources, compare), separators=(",", ":"))
    # Within a script element no end of it may stand; JSON knows other words for <.
    text = text.replace("<", "\\u003c")
    _write(path, [before, text, after])


def content(sources, compare=None):
    """What the page is told, in the types of JSON. Takes one of the sources after the
    other."""
    stacks = _Stacks()
    profiles = [_profile(source, stacks) for source in sources]
    return {
        "profiles": profiles,
        "compare": compare,
        "strings": list(stacks.strings),
        "functions": [n for function in stacks.functions for n in function],
        "frames": [n for frame in stacks.frames for n in frame],
        "parent": stacks.parent,
        "frame": stacks.frame,
    }


def kind_of(profile):
    """What can be merged: profiles that count the same things. What is shown of them
    by default is named first."""
    values = [" ".join(value) for value in profile["value_types"]]
    first = values[profile["default"]] if values else "unnamed values"
    return " | ".join([first, *(v for v in values if v != first)])


def _profile(source, stacks):
    profile, data = source.profile, source.data
    labels = _Numbers()
    samples = []
    sums = collections.OrderedDict()
    # Profiles without kinds of values have samples without values.
    values = profile["value_types"] or [("", "")]
    locations = profile["locations"]
    for stack, numbers, label in profile["samples"]:
        stacks.expect(sum(len(locations[location]) for location in stack))
        frames = [f for location in stack for f in locations[location]]
        frames = _shortened(_top.without_launcher(frames or [_NO_STACK]))
        at = stacks.node(frames), labels[tuple((k, str(v)) for k, v, _ in label)]
        known = sums.get(at)
        numbers = numbers or [0]
        sums[at] = [a + b for a, b in zip(known, numbers)] if known else numbers
    for at, numbers in sums.items():
        samples += [*at, *numbers]
    return {
        "title": source.title,
        "kind": source.kind,
        "file": source.file,
        "raw": None if data is None else base64.b64encode(data).decode("ascii"),
        "time_ns": profile["time_ns"],
        "duration_ns": profile["duration_ns"],
        "comments": profile["comments"],
        "values": values,
        "default": profile["default"],
        "labels": list(labels),
        "samples": samples,
        "sample_count": len(profile["samples"]),
    }


def _shortened(frames):
    if len(frames) <= MAX_DEPTH:
        return frames
    leaf = MAX_DEPTH - ROOT_DEPTH - 1
    return [*frames[:leaf], _ELIDED, *frames[-ROOT_DEPTH:]]


_ELIDED = ("[...]", "", 0, 0)
_NO_STACK = (_top.NO_STACK[0], _top.NO_STACK[1], 0, 0)


def _template():
    """What stands before and after the data. The mark is there once."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_page.html")
    try:
        with open(path, encoding="utf-8") as file:
            before, _, after = file.read().partition(MARK)
    except OSError:
        raise HtmlError(
            "this build has no page: run 'make page' in the sources and install again"
        ) from None
    return before, after


def _write(path, parts):
    """All of a file or nothing of it. It may show secrets of the program: it is for
    its owner's eyes unless he says more."""
    folder = os.path.dirname(os.path.abspath(path))
    temporary = None
    try:
        fd, temporary = tempfile.mkstemp(prefix=".page-", dir=folder)
        with open(fd, "w", encoding="utf-8") as file:
            file.writelines(parts)
        os.replace(temporary, path)
    except OSError as e:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise HtmlError("cannot write '%s': %s" % (path, e.strerror)) from e
