"""What all desktop clients need: a home of their own, and a session bus."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.look.screen import Screen
from tests.peers.process import PeerError, Process

_POLL_S = 0.1


class Desktop(ABC):
    """One client of one user, on a screen of its own, for the time of an `async with` block."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is made, and is its home."""
        directory.mkdir()
        self.home = directory
        self.screen = Screen(directory)
        self.log_file = directory / "log"
        self._process: Process | None = None

    @abstractmethod
    async def _begin(self) -> None:
        """Start the program, and wait until it is logged in."""

    async def __aenter__(self) -> Self:
        await self.screen.__aenter__()
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            await self._process.stop(grace=3)
        await self.screen.__aexit__(kind, error, trace)

    def launch(self, *command: str | Path, before: Sequence[str | Path] = ()) -> None:
        """Start a program on the screen; ``before`` is what stands before its own session bus."""
        run = self.home / "run"
        run.mkdir(mode=0o700, exist_ok=True)
        self._process = Process(
            [*before, "dbus-run-session", "--", *command],
            log=self.log_file,
            env={
                "DISPLAY": self.screen.name,
                "HOME": str(self.home),
                "XDG_DATA_HOME": str(self.home / "data"),
                "XDG_CONFIG_HOME": str(self.home / "config"),
                "XDG_CACHE_HOME": str(self.home / "cache"),
                "XDG_RUNTIME_DIR": str(run),
                "GSETTINGS_BACKEND": "memory",
                "LIBGL_ALWAYS_SOFTWARE": "1",
                "GSK_RENDERER": "cairo",
                "NO_AT_BRIDGE": "1",
                "LANGUAGE": "C",
                "LC_ALL": "C.UTF-8",
            },
        )

    async def ended(self) -> None:
        """End the program that was launched last."""
        if self._process is not None:
            await self._process.stop(grace=3)

    async def until_logged(self, text: str, limit_s: float = 30) -> None:
        """Wait until its log has this."""
        deadline = time.monotonic() + limit_s
        while text not in self.log_file.read_text(errors="replace"):
            assert self._process is not None
            if not self._process.running or time.monotonic() > deadline:
                name = type(self).__name__
                raise PeerError(f"{name} did not come up; its log:\n{self._process.log_tail()}")
            await asyncio.sleep(_POLL_S)
