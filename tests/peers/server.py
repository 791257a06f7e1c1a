"""What all server peers have in common: their life."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .process import PeerError, Process


class Server(ABC):
    """A server with its state in one directory, on ports that stay the same over a restart.

    An `async with` block starts and stops it.
    """

    #: Seconds it may take until it listens.
    start_timeout = 30.0

    def __init__(self, directory: Path, ports: Sequence[int]) -> None:
        """Remember where and on which ports; nothing is started yet."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory.resolve()
        self._ports = tuple(ports)
        self._process: Process | None = None

    @abstractmethod
    def _prepare(self) -> tuple[Sequence[str | Path], Mapping[str, str]]:
        """Write the configuration; return the command and additions to its environment."""

    @property
    def output_file(self) -> Path:
        """What the process printed (its log may be another file)."""
        return self.directory / f"{type(self).__name__.lower()}.out"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """The id of the running process."""
        return self._running().pid

    async def start(self) -> None:
        """Start it and return when it takes connections; raise PeerError if it does not."""
        if self.running:
            raise PeerError(f"{type(self).__name__} is running already")
        argv, env = self._prepare()
        self._process = Process(argv, log=self.output_file, env=env)
        try:
            await self._process.wait_until_listening(self._ports, self.start_timeout)
        except PeerError as error:
            self._process.kill()
            raise PeerError(f"{type(self).__name__} did not start: {error}") from error

    async def stop(self) -> None:
        """End it in an orderly way; does nothing if it is not running."""
        if self._process is not None:
            await self._process.stop()

    def kill(self) -> None:
        """End it at once, with no chance to write or say anything."""
        self._running().kill()

    async def restart(self) -> None:
        """Stop and start it, on the same ports and with the same state."""
        await self.stop()
        await self.start()

    def freeze(self) -> None:
        """Let it hang: connections stay open and nothing is answered, until `thaw`."""
        self._running().signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._running().signal_group(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _running(self) -> Process:
        if self._process is None:
            raise PeerError(f"{type(self).__name__} was never started")
        return self._process
