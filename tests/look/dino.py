"""Dino 0.4 (Debian 12), which finds its server by the domain alone, at port 5222."""

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path

from tests.look.desktop import Desktop
from tests.peers.process import PeerError
from tests.peers.xmpp_server import XmppServer

_SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
# It trusts what the system trusts, and asks the system where a domain is: both are replaced for
# this process alone, in a mount namespace of its own.
_IN_A_ROOM_OF_ITS_OWN = """
mount --bind "$0/authorities" /etc/ssl/certs/ca-certificates.crt
mount --bind "$0/hosts" /etc/hosts
mount --bind "$0/resolv.conf" "$(readlink -f /etc/resolv.conf)"
exec "$@"
"""
_ACCOUNT = (
    "INSERT INTO account (bare_jid, resourcepart, password, alias, enabled, mam_earliest_synced)"
    " VALUES (?, 'dino.look', ?, '', 1, 0)"
)
_INPUT = (700, 662)
_ACCEPT = (893, 78)
_LIMIT_S = 20.0
_START_S = 4.0


class Dino(Desktop):
    """One user's Dino."""

    def __init__(
        self, directory: Path, server: XmppServer, address: str, jid: str, password: str
    ) -> None:
        """The server is reached at port 5222 of ``address``."""
        super().__init__(directory)
        self._server = server
        self._address = address
        self._account = jid, password
        self._database = directory / "data" / "dino" / "dino.db"

    async def _begin(self) -> None:
        unshare = shutil.which("unshare")
        if unshare is None:
            raise PeerError("unshare is missing, which is in the package util-linux")
        self._write_files()
        before = [unshare, "--map-root-user", "--mount", "--"]
        before += ["sh", "-ec", _IN_A_ROOM_OF_ITS_OWN, str(self.home)]
        self.launch("dino-im", before=before)  # makes its database
        await self._until_there_is_a_database()
        await self.ended()
        database = sqlite3.connect(self._database)
        with database:
            database.execute(_ACCOUNT, self._account)
        database.close()
        self.launch("dino-im", before=before)
        await asyncio.sleep(_START_S)  # nothing tells that it is online

    def _write_files(self) -> None:
        """What is to be seen in place of the system's files."""
        authorities = _SYSTEM.read_text() if _SYSTEM.exists() else ""
        (self.home / "authorities").write_text(authorities + self._server.ca_file.read_text())
        (self.home / "hosts").write_text(
            f"127.0.0.1 localhost\n{self._address} {self._server.domain}\n"
        )
        (self.home / "resolv.conf").write_text("")

    async def _until_there_is_a_database(self) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while time.monotonic() < deadline:
            if self._database.exists():
                await asyncio.sleep(1)
                return
            await asyncio.sleep(0.1)
        raise PeerError(f"Dino did not come up; its log:\n{self.log_file.read_text()[-2000:]}")

    async def open(self, number: int) -> None:
        """The conversation that is so far down the list now, from 1 on."""
        await self.screen.click(150, 22 + 59 * number)

    async def accept(self) -> None:
        """Say yes to the newest request to be a contact."""
        await self.screen.click(*_ACCEPT)

    async def correct(self, text: str) -> None:
        """Correct what was said last."""
        await self.screen.click(*_INPUT)
        await self.screen.key("Up")
        await asyncio.sleep(1)
        await self.screen.key("ctrl+a")
        await self.screen.types(text)
        await self.screen.key("Return")
        await self.screen.click(*_INPUT)

    async def say(self, text: str) -> None:
        """Write into the open conversation."""
        await self.screen.click(*_INPUT)
        await self.screen.types(text)
        await self.screen.key("Return")
