"""The job as a child process: its streams, its signals and its end. Standard library only.

Streams. Standard input is inherited. Standard output and error are inherited too where they are terminals, so that
colours, widths and prompts stay; of such a stream no tail is kept. Otherwise each goes through a pipe, from which one
thread passes it on; a reader that is slow with one stream holds up that stream only. Where both are one and the same
open file (`2>&1`), they share one pipe, so their order is exact. A descendant that keeps a pipe open after the job's
end delays nothing: a forked copy of this process goes on passing its output through.

Signals. They are blocked here and taken by `sigwaitinfo`, which tells who sent them: what the terminal sends reaches
the job by itself, since it shares our process group; everything else is passed on.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import stat
import sys
import threading
import time
import warnings
from collections import deque
from typing import NamedTuple, NoReturn

PASSED_ON = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGTSTP", "SIGCONT")
)
_ENDING = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM})
_JOB_CONTROL = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_FROM_KERNEL = 0x80  # SI_KERNEL: typed at the terminal, or the terminal went away
_CHUNK = 65_536
_PART = 4_096  # bytes that a pipe takes without delay once poll says that it can be written to
_LAST_TURNS = 100  # after the job's end; enough for all that it can have left in the pipes
_SETTLE = 1.0  # seconds after the job's end, at most, in which its last output is read


class Outcome(NamedTuple):
    """`code` is what a shell would see: 128 + signal for a death by signal, 127 and 126 for no start."""

    code: int
    signal: int = 0
    peak_bytes: int = 0
    error: str = ""

    @property
    def signal_name(self) -> str:
        try:
            return signal.Signals(self.signal).name
        except ValueError:
            return f"signal {self.signal}"


class Tail:
    """The last `limit` bytes of what was added, in order; memory is bounded by twice the limit and a chunk."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.seen = 0
        self._held = 0
        self._chunks: deque[bytes] = deque()
        self._lock = threading.Lock()

    def add(self, chunk: bytes) -> None:
        if not chunk:
            return
        with self._lock:
            self.seen += len(chunk)
            self._chunks.append(chunk[-self.limit :])
            self._held += len(self._chunks[-1])
            while self._held - len(self._chunks[0]) >= self.limit:
                self._held -= len(self._chunks.popleft())
            if len(self._chunks) > 1000:  # many tiny chunks
                self._chunks = deque([b"".join(self._chunks)])

    def kept(self) -> bytes:
        """Cut at a line's beginning where one is near, and never within a UTF-8 character."""
        with self._lock:
            text = b"".join(self._chunks)
        if len(text) <= self.limit and self.seen == len(text):
            return text
        text = text[-self.limit :]
        line = text.find(b"\n", 0, 500)
        if 0 <= line < len(text) - 1:
            return text[line + 1 :]
        start = next((index for index in range(min(4, len(text))) if text[index] & 0xC0 != 0x80), 0)
        return text[start:]


class Child:
    """Starts the job at once. `error` is set, and there is no process, if it could not be started."""

    def __init__(self, command: tuple[str, ...], tail: Tail) -> None:
        self.error = ""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would vanish without their status
        heeded = {number for number in PASSED_ON if signal.getsignal(number) != signal.SIG_IGN}  # nohup stays nohup
        self._watched = heeded | {signal.SIGCHLD}
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, self._watched)
        self._pid = 0
        actions, pipes = _redirections(tail.limit)
        _occupy_closed()
        try:
            self._pid = self._spawn(command, actions)
        except OSError as error:
            self._code, self.error = _not_started(command[0], error)
            say(self.error)
        for _, writing, _ in pipes:
            os.close(writing)
        self._pump = _Pump([_Stream(reading, target) for reading, _, target in pipes], tail)
        self._pump.start()

    def _spawn(self, command: tuple[str, ...], actions: list[tuple[int, int, int]]) -> int:
        # Python ignores these two for itself; a job must have them as its parent had.
        defaults = [signal.SIGPIPE, signal.SIGXFSZ]
        environment = _environment()

        def spawn(program: str, arguments: tuple[str, ...]) -> int:
            return os.posix_spawnp(
                program, arguments, environment, file_actions=actions, setsigmask=self._before, setsigdef=defaults
            )

        try:
            return spawn(command[0], command)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        # A script without `#!`: shells, env, nice and timeout hand it to sh, so a job that ran there runs here.
        import shutil

        return spawn("/bin/sh", ("sh", shutil.which(command[0]) or command[0], *command[1:]))

    def wait(self) -> Outcome:
        """Pass signals on until the job has ended."""
        if self.error:
            return Outcome(self._code, error=self.error)
        while True:
            pid, status, usage = os.wait4(self._pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                if os.WSTOPSIG(status) in _JOB_CONTROL:  # so that the shell sees its job stop
                    os.kill(os.getpid(), signal.SIGSTOP)
            elif pid:
                peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
                if os.WIFSIGNALED(status):
                    return Outcome(128 + os.WTERMSIG(status), os.WTERMSIG(status), peak)
                return Outcome(os.waitstatus_to_exitcode(status), 0, peak)
            else:
                self._pass_on(signal.sigwaitinfo(self._watched))

    def _pass_on(self, taken: signal.struct_siginfo) -> None:
        if taken.si_signo == signal.SIGCHLD or taken.si_pid == self._pid:
            return
        if taken.si_code == _FROM_KERNEL and taken.si_signo != signal.SIGCONT:
            return
        try:
            os.kill(self._pid, taken.si_signo)
        except PermissionError:
            say("a signal was not forwarded: the job now runs as another user")

    def is_asked_to_stop(self, seconds: float) -> bool:
        """After the job's end: wait for at most this long, or for SIGCHLD; whether a signal asks us to end."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            taken = signal.sigtimedwait(self._watched, left)
            if taken is None or taken.si_signo == signal.SIGCHLD:
                return False
            if taken.si_signo in _ENDING:
                return True
        return False

    def settle(self) -> None:
        """Give the last output a moment to come through: until the streams end, or hold nothing any more."""
        end = time.monotonic() + _SETTLE
        while self._pump.is_alive() and not self._pump.is_idle() and time.monotonic() < end:
            self._pump.join(0.02)
        self._pump.join(0.02)

    def let_go(self) -> None:
        """Everything the job wrote is passed through; what its descendants still write is left to a copy of us."""
        self._pump.stop()
        if self._pump.open and _fork() == 0:
            # Above all our standard input, whose writer must see us gone, and the lock of the spool.
            _close_all_but({end for stream in self._pump.open for end in (stream.reading, stream.target)})
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)
            self._pump.pass_through()
            os._exit(0)


class _Stream:
    """One pipe from the job, and our own stream that it goes on to; `held` is read and not written yet."""

    def __init__(self, reading: int, target: int) -> None:
        self.reading, self.target, self.held = reading, target, b""
        self._lossy = False

    @property
    def awaited(self) -> tuple[int, int]:
        """What to poll for."""
        return (self.target, select.POLLOUT) if self.held else (self.reading, select.POLLIN)

    def write(self) -> bool:
        """Pass on a part that fits what poll promises of a pipe; False if nobody reads any more.

        What a full disk does not take is dropped, and told once: the job must not end for it.
        """
        try:
            self.held = self.held[os.write(self.target, self.held[:_PART]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        except OSError as error:
            self.held = b""
            if not self._lossy:
                say(f"output of the job is lost: {error.strerror}")
            self._lossy = True
        return True


class _Pump(threading.Thread):
    """Passes streams through until their ends, or until it is stopped; `open` are those that go on."""

    def __init__(self, streams: list[_Stream], tail: Tail) -> None:
        super().__init__(daemon=True)
        self.open = streams
        self._tail = tail
        self._stop_read, self._stop_write = _pipe()

    def run(self) -> None:
        self.pass_through(self._stop_read)

    def stop(self) -> None:
        os.write(self._stop_write, b".")
        self.join()

    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        poll, open_ = select.poll(), list(self.open)
        for stream in open_:
            poll.register(stream.reading, select.POLLIN)
        return not poll.poll(0) and not any(stream.held for stream in open_)

    def pass_through(self, stop: int = -1) -> None:
        """Once `stop` can be read: go on with what the job has left in the pipes, but not for ever."""
        left = _LAST_TURNS
        while self.open and left:
            poll = select.poll()
            for stream in self.open:
                poll.register(*stream.awaited)
            if stop >= 0:
                poll.register(stop, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll()}
            if stop in ready:
                left = left - 1 if len(ready) > 1 else 0
            self.open = [stream for stream in self.open if stream.awaited[0] not in ready or self._step(stream)]

    def _step(self, stream: _Stream) -> bool:
        """Read or write once; False at the end, and when nobody reads any more: then the job's next write fails too."""
        if stream.held:
            goes_on = stream.write()
        else:
            stream.held = os.read(stream.reading, _CHUNK)
            self._tail.add(stream.held)
            goes_on = bool(stream.held)
        if not goes_on:
            os.close(stream.reading)
        return goes_on


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns about threads; the only ones left may wait for the network and are not used by the copy.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def say(text: str) -> None:
    try:
        os.write(2, f"mainstay exec: {text}\n".encode("utf-8", "replace"))
    except OSError:
        return  # nobody listens, and the job must not suffer from that


def _occupy_closed() -> None:
    """Let no socket or file of ours become a standard stream; the job finds closed what was closed."""
    for stream in (0, 1, 2):
        if not _is_open(stream):
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, and closed on exec


def _close_all_but(kept: set[int]) -> None:
    below = 0
    for end in sorted(kept):
        os.closerange(below, end)
        below = end + 1
    os.closerange(below, os.sysconf("SC_OPEN_MAX"))


def _redirections(limit: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """(actions for posix_spawn, (reading end, writing end, our stream) of each pipe)."""
    wanted = [stream for stream in (1, 2) if limit and _is_open(stream) and not os.isatty(stream)]
    pipes = []
    shared = wanted == [1, 2] and _is_one_file(1, 2)
    for stream in wanted[:1] if shared else wanted:
        reading, writing = _pipe()
        pipes.append((reading, writing, stream))
    actions = [(os.POSIX_SPAWN_DUP2, writing, stream) for _, writing, stream in pipes]
    if shared:
        actions.append((os.POSIX_SPAWN_DUP2, pipes[0][1], 2))
    return actions, pipes


def _is_open(stream: int) -> bool:
    try:
        os.fstat(stream)
    except OSError:
        return False
    return True


def _is_one_file(first: int, second: int) -> bool:
    """Whether both are the same open file, position included, as after `2>&1`."""
    one, other = os.fstat(first), os.fstat(second)
    if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino):
        return False
    if not stat.S_ISREG(one.st_mode):
        return True
    # Two openings of a file keep positions of their own. Status flags belong to the opening, and this one means
    # nothing for a file on a disk.
    flags = fcntl.fcntl(first, fcntl.F_GETFL)
    fcntl.fcntl(first, fcntl.F_SETFL, flags ^ os.O_NONBLOCK)
    shared = fcntl.fcntl(second, fcntl.F_GETFL) & os.O_NONBLOCK != flags & os.O_NONBLOCK
    fcntl.fcntl(first, fcntl.F_SETFL, flags)
    return shared


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are none of the standard streams, even if those are closed."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 3))
        os.close(end)
    return ends[0], ends[1]


def _environment() -> dict[bytes, bytes]:
    """Ours, without the locale that Python sets for itself and its children where there is none (PEP 538)."""
    found = dict(os.environb)
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read()
    except OSError:
        return found
    if not any(entry.startswith(b"LC_CTYPE=") for entry in given.split(b"\0")):
        found.pop(b"LC_CTYPE", None)
    return found


def _not_started(program: str, error: OSError) -> tuple[int, str]:
    if error.errno == errno.ENOENT:
        missing = "no such file" if "/" in program else "command not found"
        if "/" in program and os.path.exists(program):
            missing = "its interpreter does not exist"
        return 127, f"{program[:200]}: {missing}"
    return 126, f"{program[:200]}: cannot be run: {error.strerror}"


def die(outcome: Outcome) -> NoReturn:
    """End as the job ended: who waits for us must not see a difference."""
    if outcome.signal:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the job has left its core already
        if outcome.signal not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(outcome.signal, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [outcome.signal])
        os.kill(os.getpid(), outcome.signal)
    os._exit(outcome.code)  # also where we are process 1 of a container, which no signal ends
