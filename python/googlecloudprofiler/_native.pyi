"""The native module. Private: everything here may change without notice."""

from typing import Any, Callable, Dict, List, Optional, Tuple

def start(
    transport_path: str,
    target: str,
    tls: bool,
    proxy: Optional[str],
    roots: Tuple[str, ...],
    credentials_type: Optional[str],
    credentials_path: Optional[str],
    quota_project: Optional[str],
    metadata_host: Optional[str],
    project: Optional[str],
    service: str,
    labels: Tuple[Tuple[str, str], ...],
    zone: bool,
    instance: Optional[str],
    cpu: bool,
    wall: bool,
    wall_main: bool,
    period_ns: int,
    user_agent: str,
    api_client: str,
    backoff_ns: Tuple[int, int] = ...,
    budget_ppm: int = ...,
) -> None:
    """Start the agent's thread; nothing has been connected yet.

    `zone` tells that the labels have one. `backoff_ns` and `budget_ppm` are for
    tests: the bounds of the wait after a failure, and the part of a core that a window
    may use, 0 for what it takes.

    Raises ValueError when an agent runs already, NotImplementedError on a Python that
    is not served.
    """

def ask(timeout_s: float = 5, **options: Any) -> Optional[Tuple[str, str]]:
    """Ask the service once for a profile, with the options of start().

    None where it would give one: it did, has nothing now, or lets us wait for up to
    `timeout_s` (to 60) seconds. Else what failed, and what can be done ("" for
    nothing known).
    """

def count_roots(path: str) -> int:
    """How many CA certificates there are in a file or folder; 0 where it is none."""

def reads_by() -> str:
    """The system call that reads the interpreter's memory here.

    Raises OSError where the kernel or a sandbox refuses all.
    """

def lacks() -> str:
    """What this system does not tell of threads, and what profiles lack for that; ""
    where nothing is lacking."""

def transport(transport_path: str) -> Tuple[str, bool]:
    """The version of gRPC core, which is loaded for that and not started; and whether
    a forked child gets one of its own."""

def stop(patience_s: float = 0) -> None:
    """Stop the agent, waiting 0.8 s at most, and speak what is left to say.

    With a patience (to 60 s) a profile that is being collected ends at once, and is
    uploaded within that time.
    """

def running() -> bool:
    """Whether an agent was started, here or in a parent before it forked this process,
    and not stopped."""

def metadata(host: Optional[str], key: str, timeout_s: float) -> Optional[str]:
    """A value of the metadata server at `host` (as GCE_METADATA_HOST), or None where
    there is no such value. Raises OSError without an answer within 0 to 60 seconds,
    ValueError for a host that is no address.
    """

def give_token(token: str, left_s: float) -> bool:
    """Give the agent an access token with its seconds to live, at most a day.

    False where the service has refused this very token.
    """

def read_token(path: str) -> str:
    """The token in a file: one word of 16 to 4096 bytes of visible ASCII, with blanks
    and line ends around it.

    Raises OSError where the file cannot be read, ValueError where that is not in it.
    """

def give_no_token(why: str, refused: bool) -> None:
    """Tell the agent why there is none, without a secret, and whether to try again will
    not help."""

def collect(
    kind: str, duration_ns: int, period_ns: int, budget_ppm: int = 0
) -> bytes:
    """Sample this process from the calling thread; a gzipped pprof profile.

    `kind` is "CPU" or "WALL". The rate falls where it costs more than budget_ppm of a
    core, up to a million; 0 is without bounds. Raises ValueError when duration_ns is
    above 300 s or below period_ns, period_ns below 0.1 ms, or budget_ppm out of range.
    """

def walk_self() -> List[Tuple[Optional[str], Optional[str], int, int]]:
    """The calling thread's stack as the sampler reads it, leaf first.

    Items are (qualified name, file, line, first line). Where a deep stack is cut,
    there is one of (None, None, 0, 0). Raises RuntimeError when it cannot be read.
    """

def line_at(table: bytes, first_line: int, instr: int) -> int:
    """The line of the instruction at index `instr` (code units); 0 for none."""

def name_threads(names: List[Tuple[int, bytes]]) -> None:
    """What threads are called from now on, by the kernel's ids, in UTF-8; cut after 63
    bytes, and after 8192 threads."""

def call_sites(code: bytes) -> Optional[bytes]:
    """For each code unit the index, in its frame's stack, of what it calls.

    255 where it calls nothing. None if this is no code that a compiler makes,
    and for versions where C functions are not told.
    """

def speak_through(
    speaker: Callable[[int, str], Any], hearer: Callable[[], Any]
) -> None:
    """Set what log records go to: a callable of (level, text).

    `hearer` is called on a thread for nothing else when there are new ones: it calls
    speak(), or has another thread do so.
    """

def speak() -> None:
    """Speak all log records that there are."""

def call_in_main(callable: Callable[[], Any]) -> None:
    """Have the main thread call `callable` between two of its instructions, wherever it
    is; not at all when it has some dozens of such calls to do. What is raised is lost.
    """

def call_in_child(callable: Callable[[], Any]) -> None:
    """Set what is called, on a thread of its own, as an agent begins in a forked child:
    a second or two after the fork."""

def decode_profile(data: bytes) -> Dict[str, Any]:
    """Read a pprof profile, gzipped or plain.

    Raises RuntimeError for bytes that are no profile, or one that is too large.
    """

class Server:
    """The Profiler API's server side, on loopback or a unix socket; or anywhere, with
    `certificate` and `key` in PEM and the `token` that each call must bring.

    To be used by one thread. All methods raise ValueError for a call that is not
    open.
    """

    port: int

    def __init__(
        self,
        address: str,
        transport_path: str,
        certificate: Optional[str] = ...,
        key: Optional[str] = ...,
        token: Optional[str] = ...,
    ) -> None: ...
    def next(self, timeout_s: float) -> Optional[Tuple[Any, ...]]:
        """What happened next, or None after `timeout_s` seconds.

        ("create", call, peer, project, target, {deployment labels}, [types]),
        ("update", call, peer, name, type, duration_ns, project, target,
        {deployment labels}, {profile labels}, profile_bytes), or ("gone", call).
        """

    def assign(
        self,
        call: int,
        name: str,
        type: int,
        duration_ns: int,
        project: str,
        target: str,
        labels: Dict[str, str],
    ) -> None: ...
    def postpone(self, call: int, words: str, delay_s: float) -> None: ...
    def accept(self, call: int, name: str, type: int) -> None: ...
    def refuse(self, call: int, status: int, words: str) -> None: ...
    def close(self) -> None: ...
