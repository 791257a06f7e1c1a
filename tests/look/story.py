"""What alice does in Gajim and in Dino, bob and carol on Matrix, and when one looks."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.demo.screen import Screen as Terminal
from tests.e2e.shared_files import three
from tests.look.dino import Dino
from tests.look.gajim import Gajim
from tests.look.world import DOMAIN, GATEWAY, HOMESERVER, PASSWORD, World
from tests.peers.matrix_client import MatrixClient

_ALICE = f"@alice:{HOMESERVER}"
_CAROL = f"@carol:{HOMESERVER}"
_MOMENT_S = 1.5
_FETCH_S = 5
_AUTOJOIN_S = 12  # Gajim waits for ten seconds


@dataclass
class Cast:
    """Who takes part."""

    gajim: Gajim
    dino: Dino
    phone: MatrixClient
    """Alice's other app on Matrix."""
    bob: MatrixClient
    carol: MatrixClient
    pictures: Path

    async def look(self, name: str) -> None:
        """Wait a moment, and take a picture of each client."""
        await asyncio.sleep(_MOMENT_S)
        for client in (self.gajim, self.dino):
            kind = type(client).__name__.lower()
            await client.screen.picture(self.pictures / f"{name}-{kind}.png")


async def play(world: World, stack: AsyncExitStack, terminal: Terminal, pictures: Path) -> None:
    """From the login to a group."""
    with terminal.step("starting Gajim and Dino, both for alice"):
        cast = Cast(
            await stack.enter_async_context(
                Gajim(world.directory / "gajim", world.prosody, "alice", PASSWORD, [GATEWAY])
            ),
            await stack.enter_async_context(
                Dino(
                    world.directory / "dino",
                    world.prosody,
                    world.address,
                    f"alice@{DOMAIN}",
                    PASSWORD,
                )
            ),
            await world.matrix_client("alice", "Alice", "#b5651d", stack),
            await world.matrix_client("bob", "Bob Builder", "#2a7f62", stack),
            await world.matrix_client("carol", "Carol", "#8a3b8f", stack),
            pictures,
        )
    with terminal.step("alice links her account, in Gajim"):
        await _link(cast, world.synapse.url)
    with terminal.step("bob writes to her; she accepts, in Dino"):
        room = await _meet(cast)
    with terminal.step("they talk"):
        await _talk(cast, room)
    with terminal.step("they edit, answer, react and take back"):
        await _second_thoughts(cast, room)
    with terminal.step("they share files"):
        await _files(cast, room)
    with terminal.step("a group"):
        tea = await _group(cast)
    with terminal.step("the gateway is killed and starts again"):
        await _restart(cast, world, room, tea)


async def _link(cast: Cast, homeserver: str) -> None:
    await cast.gajim.open(1)
    for line in ("login", homeserver, "1", "alice", PASSWORD):
        await cast.gajim.say(line)
        await asyncio.sleep(0.7)
    await asyncio.sleep(_MOMENT_S)
    await cast.dino.accept()
    await cast.look("1-linked")


async def _meet(cast: Cast) -> str:
    room = await cast.bob.create_direct(_ALICE)
    await cast.bob.send_text(room, "Hello Alice, this is Bob.")
    await asyncio.sleep(_MOMENT_S)
    await cast.gajim.account()
    await cast.dino.open(1)
    await cast.look("2-asked")
    await cast.dino.accept()
    await cast.bob.wait_member(room, _ALICE)
    await asyncio.sleep(_MOMENT_S)
    await cast.gajim.chats()
    await cast.gajim.open(2)
    await cast.look("3-accepted")
    return room


async def _talk(cast: Cast, room: str) -> None:
    await cast.dino.say("Hi Bob, this is typed in Dino.")
    await cast.bob.wait_text("Hi Bob, this is typed in Dino.")
    await cast.gajim.say("And this in Gajim.")
    await cast.bob.wait_text("And this in Gajim.")
    await cast.bob.send_text(room, "Two clients? I have *one*. See https://matrix.example/")
    await asyncio.sleep(_MOMENT_S)
    seen = await cast.phone.wait_text("Two clients? I have *one*. See https://matrix.example/")
    await cast.phone.send_text(room, "This comes from my phone.")
    await cast.bob.read(room, seen.event_id)
    await cast.look("4-talk")


async def _second_thoughts(cast: Cast, room: str) -> None:
    bob = cast.bob
    question = await bob.send_text(room, "Shall we meet at for?")
    await asyncio.sleep(_MOMENT_S)
    await bob.edit(room, question, "Shall we meet at four?")
    await asyncio.sleep(_MOMENT_S)
    await cast.gajim.say("Yes, at forr.")
    yes = await bob.wait_text("Yes, at forr.")
    await cast.gajim.correct("Yes, at four.")
    await asyncio.sleep(_MOMENT_S)
    await bob.reply(room, yes.event_id, "I bring a cake.")
    await cast.gajim.say("Which one?")
    which = await bob.wait_text("Which one?")
    await bob.react(room, which.event_id, "👍")
    await bob.reply(room, which.event_id, "Apple.")
    await cast.phone.react(room, question, "🎂")
    await cast.look("5-edited")
    wrong = await bob.send_text(room, "This was for somebody else.")
    await asyncio.sleep(_MOMENT_S)
    await bob.redact(room, wrong)
    await cast.dino.say("I lov cake.")
    await asyncio.sleep(_MOMENT_S)
    await cast.dino.correct("I love cake.")
    await cast.look("6-taken-back")


async def _files(cast: Cast, room: str) -> None:
    photo, _, document = three("walk")  # with a sound Gajim waits for ever for a loudspeaker
    await cast.bob.share(room, photo.data, photo.content("From our walk"), photo.media_type)
    await asyncio.sleep(_MOMENT_S)
    await cast.bob.share(room, document.data, document.content(), document.media_type)
    await asyncio.sleep(_FETCH_S)
    await cast.look("7-files")


async def _group(cast: Cast) -> str:
    bob = cast.bob
    tea = await bob.create_room(name="Tea at four", invite=[_ALICE, _CAROL])
    await bob.request("PUT", f"rooms/{tea}/state/m.room.topic/", {"topic": "Who brings what"})
    await cast.carol.wait_invite()
    await cast.carol.join(tea)
    await cast.phone.wait_invite()
    await cast.phone.join(tea)
    await asyncio.sleep(_AUTOJOIN_S)
    await cast.dino.open(1)
    question = await bob.send_text(tea, "Who brings tea?")
    await asyncio.sleep(_MOMENT_S)
    await cast.carol.send_text(tea, "I do.")
    await asyncio.sleep(_MOMENT_S)
    await cast.dino.say("And I milk.")
    milk = await bob.wait_text("And I milk.", room_id=tea)
    await bob.react(tea, milk.event_id, "❤️")
    await cast.carol.reply(tea, question, "Green, or black?")
    await cast.gajim.open(2)
    await cast.look("8-group")
    wrong = await bob.send_text(tea, "Balck.")
    await asyncio.sleep(_MOMENT_S)
    await bob.edit(tea, wrong, "Black.")
    await cast.gajim.say("Geren.")
    await bob.wait_text("Geren.", room_id=tea)
    await cast.gajim.correct("Green.")
    secret = await cast.carol.send_text(tea, "He never brings anything.")
    await asyncio.sleep(_MOMENT_S)
    await cast.carol.redact(tea, secret)
    await cast.look("9-group-edited")
    return tea


async def _restart(cast: Cast, world: World, room: str, tea: str) -> None:
    world.gateway.kill()
    await cast.bob.send_text(tea, "Nobody notices this.")
    await cast.bob.send_text(room, "Nor this.")
    await world.gateway.start()
    await cast.bob.wait_member(tea, _CAROL)
    await asyncio.sleep(_MOMENT_S)
    await cast.dino.say("All is as it was.")
    await cast.look("10-after-a-restart")
