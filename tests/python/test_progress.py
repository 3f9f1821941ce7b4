"""The line of progress: on a terminal only, and only with news."""

import io

from googlecloudprofiler import _progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_line_is_written_over_itself_and_goes_at_the_end():
    terminal = Terminal()
    line = _progress.Line(terminal)
    for numbers in [(0, 0), (1, 80), (1, 80), (2, 160)]:
        line.show(*numbers)
    line.clear()
    parts = terminal.getvalue().split("\r\x1b[K")
    assert parts == [
        "",
        "[profiler: 0 profiles, 0 samples] ",
        "[profiler: 1 profile, 80 samples] ",
        "[profiler: 2 profiles, 160 samples] ",
        "",
    ]


def test_what_is_no_terminal_is_left_alone():
    file = io.StringIO()
    closed = io.StringIO()
    closed.close()
    for stream in (file, closed, None):
        line = _progress.Line(stream)
        line.show(1, 1)
        line.clear()
    assert file.getvalue() == ""


def test_a_terminal_that_goes_away_is_no_trouble():
    terminal = Terminal()
    line = _progress.Line(terminal)
    terminal.write = refuse
    line.show(1, 1)
    line.show(2, 2)
    line.clear()


def refuse(text):
    raise OSError("gone")
