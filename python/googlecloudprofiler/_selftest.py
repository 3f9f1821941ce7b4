"""The self-test at start: does the sampler read this interpreter right?

Known frames (plain, generator, coroutine, with C between) call down to a walk of
their own stack, which is compared with what Python says.
"""

import sys

# Frames compared, from the leaf: those of the self-test and some of the program.
_COMPARED = 64

# And of each text, because the sampler cuts long ones.
_COMPARED_CHARACTERS = 200


def run(walk):
    """Raise NotImplementedError unless `walk()` agrees with Python.

    `walk` returns the calling thread's stack, leaf first, as tuples (qualified
    name, file, line, first line); it is _native.walk_self.
    """
    try:
        found = _collect(walk)
    except NotImplementedError:  # a RuntimeError, with words of its own
        raise
    except RuntimeError as e:
        raise _refusal(str(e)) from None
    for read, told in found:
        read = [_comparable(*frame) for frame in read[:_COMPARED]]
        told = [_comparable(*frame) for frame in told[:_COMPARED]]
        if read != told:
            raise _refusal(
                "its self-test found %r where Python says %r"
                % _first_difference(read, told)
            )


def _refusal(words):
    return NotImplementedError(
        "the profiler does not read this Python (%s) right: %s; please report this"
        % (sys.version.split()[0], words)
    )


def _comparable(name, file, line, first_line):
    return _text(name), _text(file), line or 0, first_line


def _text(text):
    """As a profile shows it: UTF-8 has no lone surrogates, of which the name of a
    file has some where its bytes are no UTF-8."""
    return str(text)[:_COMPARED_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _first_difference(read, told):
    for a, b in zip(read, told):
        if a != b:
            return a, b
    return len(read), len(told)


def _collect(walk):
    """Pairs (what was read, what Python says), from frames of several kinds."""
    found = []

    def look():
        frame = sys._getframe()
        read = walk(); told = _told_by_python(frame)  # noqa: E702, same line
        found.append((read, told))

    def generator():
        yield look()

    async def coroutine():
        look()

    class Nested:
        def method(self, item):
            look()
            return item

    look()
    list(generator())
    sorted([2, 1], key=Nested().method)
    awaited = coroutine()
    try:
        awaited.send(None)
    except StopIteration:
        pass
    return found


def _told_by_python(frame):
    told = []
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        told.append((name, code.co_filename, frame.f_lineno, code.co_firstlineno))
        frame = frame.f_back
    return told
