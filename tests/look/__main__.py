"""`make look`: play the story, and say where the pictures are."""

import asyncio
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from tests.demo.screen import Screen as Terminal
from tests.look.story import play
from tests.look.world import World

PICTURES = Path(__file__).parents[2] / ".look"


async def _look() -> int:
    terminal = Terminal()
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir()
    with tempfile.TemporaryDirectory(prefix="dragoman-look-") as directory:
        world = World(Path(directory))
        try:
            async with AsyncExitStack() as stack:
                await world.set_up(stack, terminal)
                await play(world, stack, terminal, PICTURES)
        except BaseException:
            terminal.log_tail(world.gateway.log_file, world.gateway.log_tail())
            raise
        finally:
            if world.gateway.log_file.exists():
                shutil.copy(world.gateway.log_file, PICTURES)
    terminal.say(f"The pictures are in {PICTURES}; now look at them.", style="green")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_look()))
