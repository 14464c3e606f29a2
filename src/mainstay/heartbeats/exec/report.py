"""Reporting over the ping protocol, on a thread beside the job: nothing here may delay or fail the job.

The thread sends, in this order: older reports of this heartbeat that wait in the spool, the start, other waiting
reports while the job runs, and the end. A server that is away is tried again while the job runs, and afterwards for as
long as the end may take; an end that it does not take in time is spooled and goes out with the next job, or by
`mainstay exec --flush`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from mainstay import __version__
from mainstay.heartbeats.exec.spool import Spool, Waiting
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    import http.client

_TIMEOUT = 5.0  # seconds for each step of a request (connect, answer)
_START_TIMEOUT = 3.0
_PAUSES = (2.0, 5.0, 15.0, 60.0)  # between tries of the start, the last one again and again
_END_PAUSES = (0.5, 1.0, 2.0)  # between tries of the end: a nightly job has no next one soon
_LONGEST_RUN = 31_622_400.0  # the server takes no more
_TOO_OLD = 86_400.0  # a success that is older says nothing about now, and is only kept with the heartbeat; a failure
# that is older counts as one of a day ago, which is the longest that the server takes
_REDIRECTS = 3
_RETRY = frozenset({408, 425, 429})
_NO_ADDRESS = "the address of the heartbeat cannot be requested"


class Address(NamedTuple):
    """Of a heartbeat: `<url>/start?<query>`. The URL may hold the ping key, so it is never shown."""

    url: str
    query: str


class Report(NamedTuple):
    code: int
    ended: float  # epoch seconds
    body: bytes
    seconds: float  # how long it ran


class Away(Exception):
    """The server cannot be reached or asks to come again; repeating later may help."""


class Refused(Exception):
    """The server will not take this report, however often it is sent."""


class Reporter:
    """Begin, then finish; nothing is reported of a job that was never begun but its end."""

    def __init__(self, address: Address, spool: Spool) -> None:
        self._address, self._spool = address, spool
        self._rid = str(uuid.uuid4())
        self._ended, self._done = threading.Event(), threading.Event()
        self._report = Report(0, 0.0, b"", 0.0)  # the end, once it is known
        self._until = 0.0  # monotonic, of the tries to report the end
        self._away = ""  # why the last of them failed
        self._problem = ""
        self._settled = False  # taken, refused or spooled
        self.lost = False
        self._begun = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        self._begun = True
        self._thread.start()

    def finish(self, report: Report, seconds: float, is_asked_to_stop: Callable[[float], bool]) -> str:
        """Hand the end over or spool it; what went wrong, or empty. `lost`: not even spooling worked."""
        self._report = report
        self._until = end = time.monotonic() + seconds
        self._ended.set()
        if not self._begun:
            self._thread.start()
        # The thread wakes us with SIGCHLD, which is blocked and waited for here.
        while not self._done.is_set() and (left := end - time.monotonic()) > 0:
            if is_asked_to_stop(left):
                break
        if not self._settled:
            self._keep(self._away or f"the server did not answer within {seconds:g} s")
        return self._problem

    def _keep(self, reason: str) -> None:
        """Spool the end."""
        report = self._report
        url, query = self._address
        waiting = Waiting(url, query, report.code, self._rid, report.ended, report.body, report.seconds)
        try:
            self._spool.add(waiting)
            self._problem = f"{reason}; the report is spooled in {self._spool.folder}"
        except OSError as error:
            self.lost = True
            self._problem = f"{reason}, and the report could not be spooled in {self._spool.folder}: {error.strerror}"

    def _run(self) -> None:
        try:
            if self._begun:
                self._while_running()
            self._ended.wait()
            self._send_end()
        finally:
            self._done.set()
            os.kill(os.getpid(), signal.SIGCHLD)

    def _while_running(self) -> None:
        """The start is tried at least once, even if the job has ended already."""
        pauses = list(_PAUSES)
        while True:
            try:
                _drain_own(self._spool, self._address.url)
                send(self._address, "start", self._rid, b"", _START_TIMEOUT)
            except Away:
                if self._ended.wait(pauses.pop(0) if len(pauses) > 1 else pauses[0]):
                    return
            except Refused:
                return  # the end will be refused too, and is told
            else:
                drain(self._spool, self._ended.is_set)
                return

    def _send_end(self) -> None:
        pauses = list(_END_PAUSES)
        while True:
            try:
                self._try_end()
            except Away as error:
                self._away = str(error)
                pause = pauses.pop(0) if len(pauses) > 1 else pauses[0]
                if time.monotonic() + pause < self._until:
                    time.sleep(pause)
                    continue
                self._keep(self._away)
            except Refused as error:
                self.lost = True
                self._problem = f"nothing was recorded: {error}"
            break
        self._settled = True

    def _try_end(self) -> None:
        report, dropped = self._report, self._spool.dropped()
        told = f"dropped because too many waited: {counted(dropped, 'older report')}\n".encode() if dropped else b""
        _drain_own(self._spool, self._address.url)
        ran = min(report.seconds, _LONGEST_RUN)
        send(_with(self._address, took=ran), str(report.code), self._rid, told + report.body, _TIMEOUT)
        if dropped:
            self._spool.forget_dropped()


def drain(spool: Spool, is_over: Callable[[], bool] | None) -> tuple[int, int]:
    """Send what waits, oldest first, skipping servers that are away: (sent, refused permanently)."""
    away: set[str] = set()
    sent = refused = 0
    with spool.only_one() as chosen:
        for name in spool.names() if chosen else ():
            waiting = spool.read(name)
            if waiting is None or _server(waiting.url) in away or (is_over is not None and is_over()):
                continue
            try:
                _send_late(waiting)
            except Away:
                away.add(_server(waiting.url))
                continue
            except Refused:
                refused += 1
            else:
                sent += 1
            spool.remove(name)
    return sent, refused


def _drain_own(spool: Spool, url: str) -> None:
    """Send what waits of one heartbeat, so that it gets its reports in order; Away at the first that fails."""
    with spool.only_one(patience=_TIMEOUT) as chosen:
        for name in spool.names() if chosen else ():
            waiting = spool.read(name)
            if waiting is None or waiting.url != url:
                continue
            try:
                _send_late(waiting)
            except Refused:
                spool.remove(name)
                continue
            spool.remove(name)


def _server(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


def _send_late(waiting: Waiting) -> None:
    late = max(0.0, time.time() - waiting.ended)  # both by this machine's clock, whatever it says
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(waiting.ended))
    signal_ = str(waiting.code) if waiting.code or late < _TOO_OLD else "log"
    line = f"Reported {round(late)} s late: it ended at {at}, when the server could not be reached.\n"
    address = _with(Address(waiting.url, waiting.query), took=waiting.seconds, ago=min(late, _TOO_OLD))
    send(address, signal_, waiting.rid, line.encode() + waiting.body, _TIMEOUT)


def _with(address: Address, **seconds: float | None) -> Address:
    more = [f"{name}={value:.3f}" for name, value in seconds.items() if value is not None]
    return Address(address.url, "&".join([*filter(None, [address.query]), *more]))


def send(address: Address, signal_: str, rid: str, body: bytes, timeout: float) -> None:
    """One ping. Raises Away or Refused, without the URL in their words, since that may hold the ping key."""
    query = f"rid={rid}&{address.query}" if address.query else f"rid={rid}"
    url = f"{address.url}/{signal_}?{query}"
    for _ in range(_REDIRECTS + 1):
        status, reason, location = _post(url, body, timeout)
        if status in (301, 302, 307, 308) and location:
            url = _followed(url, location)
            continue
        break
    if status >= 500 or status in _RETRY:
        raise Away(f"the server answered {status} {reason}")
    if not 200 <= status < 300:
        unknown = "the server does not know the heartbeat" if status == 404 else "the server refused the report"
        raise Refused(f"{unknown} ({status} {reason})")


def _followed(url: str, location: str) -> str:
    """A redirect to the same host, such as to https; a ping key goes nowhere else."""
    from urllib.parse import urljoin, urlsplit

    target = urljoin(url, location)
    if urlsplit(target).hostname != urlsplit(url).hostname or not target.startswith(("http://", "https://")):
        raise Refused("the server redirects to another host")
    if url.startswith("https://") and not target.startswith("https://"):
        raise Refused("the server redirects from https to http")
    return target


def _post(url: str, body: bytes, timeout: float) -> tuple[int, str, str]:
    """(status, short reason, Location)."""
    import http.client

    connection, path = _connection(url, timeout)
    try:
        headers = {"User-Agent": f"mainstay-exec/{__version__}", "Content-Type": "text/plain; charset=utf-8"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        reason = answer.read(200).decode("latin-1").split("\n")[0].strip()[:80]
        told = reason.isprintable() and "/" not in reason  # a proxy may repeat the path, and with it the ping key
        return answer.status, reason if told else "", answer.getheader("Location", "")
    except http.client.InvalidURL:  # its words may hold the ping key
        raise Refused(_NO_ADDRESS) from None
    except (OSError, http.client.HTTPException) as error:  # OSError first: a bad certificate is a ValueError too
        raise Away(f"the server cannot be reached: {type(error).__name__}: {str(error)[:100]}") from None
    except ValueError:  # its words as well
        raise Refused(_NO_ADDRESS) from None
    finally:
        connection.close()


def _connection(url: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
    import http.client
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Refused("the address of the server is not a URL") from None
    if not host:
        raise Refused("the address of the server has no host")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=timeout), f"{parts.path}?{parts.query}"
