"""One line on a terminal that is written again and again."""

_START, _END = "\r\x1b[K", " "  # over what stood there; before what the program says


class Line:
    """stream: standard error, or None for nowhere. What is no terminal is left alone,
    and so is one that has gone away."""

    def __init__(self, stream):
        try:
            self._stream = stream if stream is not None and stream.isatty() else None
        except ValueError:  # it is closed
            self._stream = None
        self._shown = None

    def show(self, profiles, samples):
        """How many there are so far. Without news nothing is written."""
        news = "[profiler: %d profile%s, %d samples]" % (
            profiles,
            "" if profiles == 1 else "s",
            samples,
        )
        if news != self._shown:
            self._write(_START + news + _END)
            self._shown = news

    def clear(self):
        """Make room for what is said at the end."""
        if self._shown is not None:
            self._write(_START)

    def _write(self, text):
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
