"""The gateway as an admin runs it: `dragoman run --config`, a process of its own."""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.peers.process import PeerError, Process

COMMAND = Path(sys.executable).with_name("dragoman")
_POLL_S = 0.02


def matrix_network(domain: str, secret: str, **more: Any) -> dict[str, Any]:
    """A Matrix network as the configuration has it, for homeservers on this machine."""
    return {
        "adapter": "matrix",
        "domain": domain,
        "secret": secret,
        "settings": {"allow_private_homeservers": True},
        **more,
    }


class GatewayProcess:
    """One gateway with its files in one directory. An `async with` block starts and stops it."""

    def __init__(
        self,
        directory: Path,
        *,
        component_port: int,
        networks: Mapping[str, Mapping[str, Any]],
        server_domain: str = "localhost",
        use_privileges: bool = True,
        more: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Write the configuration; ``more`` are further top-level sections of it.

        ``env`` is added to the environment of the process.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.config_file = directory / "config.yaml"
        self.database = directory / "dragoman.db"
        self.log_file = directory / "dragoman.log"
        self._networks = len(networks)
        self._env = dict(env or {})
        self._process: Process | None = None
        self._log_start = 0
        config = {
            "xmpp": {
                "server": {"port": component_port, "domain": server_domain},
                "use_privileges": use_privileges,
            },
            "log": {"format": "json"},
            "networks": networks,
            **(more or {}),
        }
        # JSON is YAML, and needs no thought about quoting.
        self.config_file.write_text(json.dumps(config, indent=1))
        self.config_file.chmod(0o600)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """The id of the process that was started last."""
        return self._started().pid

    def launch(self) -> None:
        """Start the process and do not wait for anything."""
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        argv: list[str | Path] = [COMMAND, "run", "--config", self.config_file]
        self._process = Process(argv, log=self.log_file, env=self._env)

    async def start(self) -> None:
        """Start the process and return when every component has its stream."""
        self.launch()
        await self.wait_logged("stream_up", count=self._networks)

    async def wait_logged(self, event: str, *, count: int = 1, timeout: float = 30) -> None:
        """Return when this process has logged an event (so many times)."""
        deadline = time.monotonic() + timeout
        while sum(entry.get("event") == event for entry in self.log()) < count:
            if not self.running:
                raise PeerError(f"the gateway has ended; the end of its log:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise PeerError(f"no {event!r} in {timeout} s; the log:\n{self.log_tail()}")
            await asyncio.sleep(_POLL_S)

    async def stop(self, grace: float = 15) -> int:
        """A planned stop, by SIGTERM. Returns the exit code; killing it shows as -9."""
        process = self._started()
        await process.stop(grace)
        return process.reap()

    async def stop_if_started(self) -> None:
        """Stop it, whatever has become of it."""
        if self._process is not None:
            await self.stop()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut would."""
        self._started().kill()

    def log(self, *, all: bool = False) -> list[dict[str, Any]]:
        """What the present process, or all of them, have logged, as far as it is JSON."""
        if not self.log_file.exists():
            return []
        entries = []
        with self.log_file.open("rb") as file:
            file.seek(0 if all else self._log_start)
            for line in file.read().splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    entries.append(entry)
        return entries

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of the log, of all processes so far."""
        if not self.log_file.exists():
            return "(no log)"
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            if self._process is not None:
                self._process.kill()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def _started(self) -> Process:
        if self._process is None:
            raise PeerError("the gateway was never started")
        return self._process
