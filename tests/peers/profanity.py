"""Profanity, a client of the terminal, in a tmux of its own: what it shows, and what is typed."""

import asyncio
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .ports import LOOPBACK
from .process import PeerError, Process

_LIMIT_S = 20.0
_POLL_S = 0.1


class Profanity:
    """One user's terminal."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is made, and is its home."""
        self.directory = directory
        self._socket = directory / "tmux"
        self._process: Process

    async def __aenter__(self) -> Self:
        if shutil.which("tmux") is None or shutil.which("profanity") is None:
            raise PeerError("profanity or tmux is not installed; see scripts/bootstrap peers")
        self.directory.mkdir()
        home = str(self.directory)
        # -D: the server is the process that is started, so that it ends with us.
        self._process = Process(
            ["tmux", "-S", self._socket, "-f", "/dev/null", "-D"],
            log=self.directory / "tmux.log",
            env={"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home, "TERM": "screen"},
        )
        deadline = time.monotonic() + _LIMIT_S
        while not self._socket.exists():
            if time.monotonic() > deadline:
                raise PeerError(f"tmux did not start: {self._process.log_tail()}")
            await asyncio.sleep(_POLL_S)
        await self._tmux("new-session", "-d", "-x", "140", "-y", "45", "-s", "p", "profanity")
        await self.sees("Type /help")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._process.stop()

    async def log_in(self, jid: str, password: str, port: int) -> None:
        """Connect to a server on this machine, whose certificate it trusts."""
        await self.types(f"/connect {jid} server {LOOPBACK} port {port} tls trust")
        await self.sees("Enter password")
        await self.types(password)
        await self.sees("logged in successfully")

    async def types(self, line: str) -> None:
        """A line and Enter: a command, or a text for the window that is open."""
        await self._tmux("send-keys", "-t", "p", "-l", "--", line)
        await self._tmux("send-keys", "-t", "p", "Enter")

    async def screen(self) -> str:
        """What is to be seen."""
        return await self._tmux("capture-pane", "-p", "-t", "p")

    async def sees(self, text: str) -> str:
        """Wait until it shows this, and return all that it shows."""
        deadline = time.monotonic() + _LIMIT_S
        while text not in (shown := await self.screen()):
            assert time.monotonic() < deadline, f"“{text}” is not on the screen:\n{shown}"
            await asyncio.sleep(_POLL_S)
        return shown

    async def _tmux(self, *command: str) -> str:
        made = await asyncio.create_subprocess_exec(
            "tmux",
            "-S",
            str(self._socket),
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await made.communicate()
        if made.returncode:
            raise PeerError(f"tmux {command[0]} failed: {err.decode()}")
        return out.decode()
