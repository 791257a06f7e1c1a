"""Several XMPP servers that find and trust one another, on this machine alone.

Each has an address 127.x.y.z of its own, since servers talk to one another at port 5269. Names of
the reserved top-level domain `.test` lead to them, without any resolver of the machine: Prosody
reads a file of hosts; ejabberd asks a name server that runs in the test's own event loop.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from .certificates import Authority
from .ports import LOOPBACK
from .process import PeerError

S2S_PORT = 5269
_SERVICE = "_xmpp-server._tcp."
_SERVICES = ("conference", "upload")
_A, _SRV = 1, 33
_NO_SUCH_NAME = 3


class Federation:
    """The names and addresses of some servers. An `async with` block answers for them."""

    def __init__(self, directory: Path, domains: Collection[str], components: Collection[str]):
        """`components` are hosts below one of `domains`, which answer at its address."""
        directory.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(directory)
        self.hosts_file = directory / "hosts"
        self.dns_port = 0
        self._socket: socket.socket | None = None
        addresses = _free_addresses()
        self._addresses = {domain: next(addresses) for domain in domains}
        for domain, address in list(self._addresses.items()):
            own = [host for host in components if host.endswith(f".{domain}")]
            own += [f"{service}.{domain}" for service in _SERVICES]
            self._addresses |= dict.fromkeys(own, address)
        lines = (f"{address} {name}\n" for name, address in self._addresses.items())
        self.hosts_file.write_text("".join(lines))

    def address(self, domain: str) -> str:
        """Where a server listens for the others."""
        return self._addresses[domain]

    async def __aenter__(self) -> Self:
        name_server = self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        name_server.setblocking(False)
        name_server.bind((LOOPBACK, 0))
        self.dns_port = name_server.getsockname()[1]

        def asked() -> None:
            query, who = name_server.recvfrom(4096)
            name_server.sendto(_answer(query, self._addresses), who)

        asyncio.get_running_loop().add_reader(name_server, asked)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()


def _answer(query: bytes, addresses: Mapping[str, str]) -> bytes:
    """What a name server says of SRV and A records (RFC 1035, RFC 2782)."""
    labels, end = [], 12
    while query[end]:
        labels.append(query[end + 1 : end + 1 + query[end]].decode().lower())
        end += 1 + query[end]
    (kind,) = struct.unpack(">H", query[end + 1 : end + 3])
    name = ".".join(labels)
    address = addresses.get(name.removeprefix(_SERVICE))
    record = b""
    if address and name.startswith(_SERVICE) and kind == _SRV:
        # The target is the address itself: ejabberd looks targets up with the C library only.
        record = struct.pack(">HHH", 0, 0, S2S_PORT) + _encoded(address)
    elif address and kind == _A:
        record = socket.inet_aton(address)
    flags = 0x8580 | (0 if address else _NO_SUCH_NAME)
    head = query[:2] + struct.pack(">HHHHH", flags, 1, bool(record), 0, 0)
    answer = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(record)) + record
    return head + query[12 : end + 5] + (answer if record else b"")


def _encoded(name: str) -> bytes:
    labels = (bytes([len(label)]) + label.encode() for label in name.split("."))
    return b"".join(labels) + b"\0"


def _free_addresses() -> Iterator[str]:
    """Addresses at which nobody listens for servers; all of 127.0.0.0/8 is this machine."""
    for _ in range(100):
        # Away from 127.0.0.1, where others may listen; no test depends on which it is.
        chance = random.SystemRandom()
        address = (
            f"127.{chance.randint(20, 219)}.{chance.randint(1, 250)}.{chance.randint(1, 250)}"
        )
        with socket.socket() as probe:
            try:
                probe.bind((address, S2S_PORT))
            except OSError:
                continue
        yield address
    raise PeerError(f"no loopback address with a free port {S2S_PORT}")
