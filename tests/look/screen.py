"""A screen that nobody has (Xvfb), with a mouse and a keyboard (xdotool)."""

import asyncio
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.process import PeerError, Process

_WIDTH, _HEIGHT = 1_200, 800
_LIMIT_S = 10.0
_POLL_S = 0.05
_SETTLE_S = 0.3
_COLOURS = 64
_STEPS = 12
_ASIDE = (640, 20)


class Screen:
    """One X server. An `async with` block starts and stops it."""

    def __init__(self, directory: Path) -> None:
        """Keep its files in ``directory``, which is there."""
        self.name = ""
        """As programs want it in DISPLAY."""
        self._directory = directory
        self._at = 0, 0
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        for program in ("Xvfb", "xdotool", "import"):
            if shutil.which(program) is None:
                raise PeerError(f"{program} is missing; scripts/bootstrap look installs it")
        number = self._directory / "display"
        number.unlink(missing_ok=True)
        # -ac: clients run as another user where Gajim refuses to run as this one.
        self._process = Process(
            [
                *("sh", "-c", 'exec Xvfb -displayfd 3 "$@" 3>"$0"', number),
                *("-screen", "0", f"{_WIDTH}x{_HEIGHT}x24", "-ac", "-nolisten", "tcp"),
            ],
            log=self._directory / "xvfb.log",
            env={},
        )
        deadline = time.monotonic() + _LIMIT_S
        while not (number.exists() and number.read_text().strip()):
            if time.monotonic() > deadline:
                raise PeerError(f"Xvfb did not start: {self._process.log_tail()}")
            await asyncio.sleep(_POLL_S)
        self.name = f":{number.read_text().strip()}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            await self._process.stop(grace=3)

    async def click(self, x: int, y: int, button: int = 1) -> None:
        """Press a button of the mouse there."""
        await self.point(x, y)
        await self._run("xdotool", "click", str(button))
        await asyncio.sleep(_SETTLE_S)

    async def point(self, x: int, y: int) -> None:
        """Move the mouse there, over all that lies between, as a hand does."""
        from_x, from_y = self._at
        for step in range(1, _STEPS + 1):
            part = step / _STEPS
            at = round(from_x + (x - from_x) * part), round(from_y + (y - from_y) * part)
            await self._run("xdotool", "mousemove", str(at[0]), str(at[1]))
        self._at = x, y
        await asyncio.sleep(_SETTLE_S)

    async def types(self, text: str) -> None:
        """Type a text, as it is."""
        await self._run("xdotool", "type", "--delay", "20", "--", text)
        await asyncio.sleep(_SETTLE_S)

    async def key(self, *keys: str) -> None:
        """Press keys, such as ``alt+1``."""
        await self._run("xdotool", "key", *keys)
        await asyncio.sleep(_SETTLE_S)

    async def picture(self, file: Path) -> None:
        """Save what is to be seen, small enough for a page and without the mouse's traces."""
        await self.point(*_ASIDE)
        await self._run(
            *("import", "-window", "root", "-trim", "+repage", "+dither"),
            *("-colors", str(_COLOURS)),
            *("-define", "png:compression-level=9", str(file)),
        )

    async def _run(self, *command: str) -> None:
        made = await asyncio.create_subprocess_exec(
            "env",
            f"DISPLAY={self.name}",
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await made.communicate()
        if made.returncode:
            raise PeerError(f"{command[0]} failed: {out.decode(errors='replace')}")
