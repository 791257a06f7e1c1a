"""One server process: start it, wait until it listens, freeze it, end it."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from .ports import LOOPBACK

_POLL = 0.02


class PeerError(Exception):
    """A peer could not be started or asked for something; the text says which and why."""


class Process:
    """A program in a session and process group of its own, ended by that id and by nothing else.

    It does not belong to an event loop, so one server may serve tests that each have their own.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str],
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start the program; `env` is added to the environment, output is appended to `log`.

        `stdin` is a file descriptor, of which the program gets a copy.
        """
        self.log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                [*_die_with_parent(), *argv],
                stdin=stdin,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **env},
            )

    @property
    def pid(self) -> int:
        """The process id, which is the id of its group too."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet (a frozen process runs)."""
        # WNOWAIT leaves a dead process unreaped: its id, and its group's, stay ours for `stop`.
        if self._popen.returncode is not None:
            return False
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    async def wait_until_listening(self, ports: Sequence[int], timeout: float) -> None:
        """Return once all `ports` accept connections; PeerError if it ends or is too slow."""
        deadline = time.monotonic() + timeout
        for port in ports:
            while not await _accepts(port):
                if not self.running:
                    raise PeerError(f"it ended at once; the end of {self.log}:\n{self.log_tail()}")
                if time.monotonic() > deadline:
                    raise PeerError(
                        f"port {port} did not open in {timeout} s; "
                        f"the end of {self.log}:\n{self.log_tail()}"
                    )
                await asyncio.sleep(_POLL)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and to whatever it started."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def stop(self, grace: float = 10) -> None:
        """Ask it to end (TERM), and after `grace` seconds end it."""
        if self._popen.returncode is not None:
            return
        self.signal_group(signal.SIGCONT)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while self.running and time.monotonic() < deadline:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(_POLL)
        self.kill()

    def kill(self) -> None:
        """End the whole group at once, as a power cut would, and reap the process."""
        self.signal_group(signal.SIGKILL)
        self._popen.wait()

    def reap(self) -> int:
        """The exit code, of a process that has ended or is about to; -9 if it was killed."""
        return self._popen.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _die_with_parent() -> list[str]:
    """A prefix that ends the program when the thread that started it is gone.

    A test runner that is killed, or ended by its time limit, has no chance to stop its servers.
    Start peers in the main thread, therefore.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
