"""Send echo requests and time the replies, without root where the system allows it.

Linux gives every user ICMP sockets within `net.ipv4.ping_group_range` (also for IPv6), macOS always; raw
sockets need root or CAP_NET_RAW. Both are connected, so that only the target's packets are handed to us.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.endpoints import check_host
from mainstay.integrations.checks.icmp.packets import TOKEN, echo_request, parse_reply
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, describe_seconds, document, find_addresses
from mainstay.integrations.checks.streams import connection_failure, socket_address
from mainstay.kernel.probing import CheckFault
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_SPACING = 0.2  # seconds between packets
_MARGIN = 0.05  # of the time left, so that the result is ours and not the hard limit's

# Linux's numbers that Python does not name: netinet/in.h, linux/icmp.h, linux/icmpv6.h.
_LINUX = sys.platform == "linux"
_SOL_RAW, _IP_RECVTTL, _ICMP_FILTER, _ICMP6_FILTER = 255, 12, 1, 1
# Masks of the types that the socket is not given: all but echo replies.
_ONLY_REPLY = struct.pack("=I", ~(1 << 0) & 0xFFFFFFFF)
_ONLY_REPLY_6 = struct.pack(
    "=8I", *(~(1 << (129 & 31)) & 0xFFFFFFFF if word == 129 >> 5 else 0xFFFFFFFF for word in range(8))
)
_IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE = 10, 3  # linux/in.h: set the bit, do not learn from earlier answers
_ANCILLARY = 256

_NOT_PERMITTED = (
    "this system does not let Mainstay send ICMP: allow it with `sysctl -w net.ipv4.ping_group_range="
    '"0 2147483647"`, or give the process the capability CAP_NET_RAW'
)


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    host: str
    count: int
    size: int
    dont_fragment: bool
    ttl: int | None
    loss_percent: float
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    return Prepared(
        timeout=order.timeout,
        host=check_host(target["host"]),
        count=target.get("count", 3),
        size=target.get("size", 56),
        dont_fragment=target.get("dont_fragment", False),
        ttl=target.get("ttl"),
        loss_percent=expect.get("loss_percent", 50),
        limits=LatencyLimits(expect),
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        addresses = await find_addresses(steps, context, plan.host)
        with steps.phase("connect"):
            connection = _open_first(steps, addresses)
            _shape_packets(connection, plan)
        with connection, steps.phase("wait"):
            try:
                trips, hop_limit = await Echoes(plan, connection).exchange(steps.remaining * (1 - _MARGIN))
            except OSError as error:
                reason = f"{steps.evidence['address']} is reported unreachable: {error.strerror}"
                raise CheckFault("wait.unreachable", reason) from None
        judge(plan, steps, trips, hop_limit)

    return await carry_out(plan.timeout, walk)


def judge(plan: Prepared, steps: Steps, trips: dict[int, float], hop_limit: int | None) -> None:
    """`trips`: seconds for each sequence number that came back."""
    lost = 100 * (plan.count - len(trips)) / plan.count
    steps.evidence |= {"sent": plan.count, "received": len(trips), "loss_percent": round(lost, 1)}
    if hop_limit is not None:
        steps.evidence["hop_limit"] = hop_limit
    if not trips:
        packets = "the packet" if plan.count == 1 else f"any of {plan.count} packets"
        raise CheckFault("wait.timeout", f"no reply to {packets} within {describe_seconds(plan.timeout)}")
    mean = sum(trips.values()) / len(trips)
    steps.evidence["round_trip"] = {"min": min(trips.values()), "mean": mean, "max": max(trips.values())}
    # What a person means by the time of a ping is without the pauses between packets.
    steps.phases["wait"] = mean
    steps.current = "expect"
    if lost > plan.loss_percent:
        sentence = (
            f"{lost:.0f} % of {counted(plan.count, 'packet')} lost, more than the {plan.loss_percent:g} % allowed"
        )
        raise CheckFault("expect.loss", sentence)
    plan.limits.judge(mean, "the mean round trip took")


def _open_first(steps: Steps, addresses: list[str]) -> socket.socket:
    """A socket to the first address that this machine has a route to."""
    fault = CheckFault("connect.failed", "there is no address to send to")
    for address in addresses:
        steps.evidence["address"] = address
        try:
            return _open(address)
        except CheckFault as found:
            fault = found
            if fault.code != "connect.unreachable":
                break
    raise fault


def _open(address: str) -> socket.socket:
    """A connected ICMP socket, unprivileged first. CheckFault `check.not_permitted` where there is neither."""
    family, where = socket_address(address, 0)
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES, errno.EPROTONOSUPPORT):
                continue
            raise connection_failure(error, address) from None
        try:
            connection.setblocking(False)
            _listen_for_replies_only(connection, family, raw=kind == socket.SOCK_RAW)
            connection.connect(where)  # never blocks: it only fixes the peer
        except OSError as error:
            connection.close()
            raise connection_failure(error, address) from None
        return connection
    raise CheckFault("check.not_permitted", _NOT_PERMITTED, verdict="unknown")


def _listen_for_replies_only(connection: socket.socket, family: socket.AddressFamily, *, raw: bool) -> None:
    """Ask for the hop limit of replies; keep all other ICMP traffic of the machine away from a raw socket."""
    if family == socket.AF_INET6:
        if raw and _LINUX:
            connection.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, _ONLY_REPLY_6)
        connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    elif raw and _LINUX:
        connection.setsockopt(_SOL_RAW, _ICMP_FILTER, _ONLY_REPLY)
    elif _LINUX:
        connection.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)


def _shape_packets(connection: socket.socket, plan: Prepared) -> None:
    """Hop limit and the bit that forbids fragments. CheckFault where the system has no such option."""
    v6 = connection.family == socket.AF_INET6
    try:
        if plan.ttl is not None:
            level, option = (
                (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if v6 else (socket.IPPROTO_IP, socket.IP_TTL)
            )
            connection.setsockopt(level, option, plan.ttl)
        if plan.dont_fragment and not v6:  # on the way, IPv6 is never cut up
            if not _LINUX:
                raise CheckFault("check.not_permitted", "`dont_fragment` works on Linux only", verdict="unknown")
            connection.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_PROBE)
    except (OSError, CheckFault):
        connection.close()
        raise


class Echoes:
    """The requests of one check and the replies to them."""

    def __init__(self, plan: Prepared, connection: socket.socket) -> None:
        self._plan = plan
        self._connection = connection
        self._version = 6 if connection.family == socket.AF_INET6 else 4
        self._token = os.urandom(TOKEN)
        self._identifier = int.from_bytes(os.urandom(2))
        self._sent: dict[int, float] = {}
        self._trips: dict[int, float] = {}
        self._hop_limit: int | None = None
        self._all_back = asyncio.Event()
        self._error: OSError | None = None

    async def exchange(self, limit: float) -> tuple[dict[int, float], int | None]:
        """(seconds by sequence number, hop limit of a reply), after `limit` seconds at the latest.

        OSError if the system reports the target as unreachable before anything came back.
        """
        loop = asyncio.get_running_loop()
        loop.add_reader(self._connection.fileno(), self._receive)
        try:
            async with asyncio.timeout(limit):
                for sequence in range(self._plan.count):
                    self._send(sequence)
                    if sequence + 1 < self._plan.count:
                        await asyncio.sleep(min(_SPACING, limit / 2 / self._plan.count))
                await self._all_back.wait()
        except TimeoutError:
            pass  # what has not come by now is lost
        finally:
            loop.remove_reader(self._connection.fileno())
        if self._error is not None and not self._trips:
            raise self._error
        return self._trips, self._hop_limit

    def _send(self, sequence: int) -> None:
        packet = echo_request(self._version, self._identifier, sequence, self._token, self._plan.size)
        self._sent[sequence] = time.perf_counter()
        try:
            self._connection.send(packet)
        except OSError as error:  # a report about an earlier packet, or no way to the target
            self._fail(error)

    def _receive(self) -> None:
        now = time.perf_counter()
        try:
            packet, ancillary, _, _ = self._connection.recvmsg(self._plan.size + 100, _ANCILLARY)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        reply = parse_reply(self._version, packet, self._token)
        if reply is None or reply.sequence not in self._sent or reply.sequence in self._trips:
            return
        self._trips[reply.sequence] = now - self._sent[reply.sequence]
        self._hop_limit = reply.hop_limit if reply.hop_limit is not None else _hop_limit(ancillary)
        if len(self._trips) == self._plan.count:
            self._all_back.set()

    def _fail(self, error: OSError) -> None:
        """Remember it; with all packets out there is nothing to wait for."""
        self._error = error
        if len(self._sent) == self._plan.count and not self._trips:
            self._all_back.set()


def _hop_limit(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in ancillary:
        is_ttl = level == socket.IPPROTO_IP and kind == socket.IP_TTL
        is_hops = level == socket.IPPROTO_IPV6 and kind == socket.IPV6_HOPLIMIT
        if (is_ttl or is_hops) and len(data) >= 4:
            return int(struct.unpack_from("@i", data)[0])
    return None
