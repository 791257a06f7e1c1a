"""What alice and bob say to each other, and when the gateway is killed."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.demo.compare import differences
from tests.demo.files import exchange
from tests.demo.lines import Line
from tests.demo.login import Said, Talk, befriend, befriend_gateway
from tests.demo.matrix_app import MatrixApp
from tests.demo.screen import Screen
from tests.demo.stage import GATEWAY, Stage
from tests.demo.xmpp_app import XmppApp
from tests.peers.matrix_client import MatrixClient

BOB_JID = f"bob%localhost@{GATEWAY}"
_ALICE_PACE_S = 0.02


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    dialogue: Sequence[Said]
    alice: list[Line]
    """As alice's client shows them."""
    bob: list[Line]
    resent: int
    bounced: int
    repeats: int
    away_s: float
    """How long the gateway was gone."""
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Both have seen the same, once, in order, with receipts."""
        return not self.faults


async def play(stage: Stage, screen: Screen, *, burst: int = 40) -> Outcome:
    """Everything, from the login to the comparison."""
    async with AsyncExitStack() as stack:
        alice_client = await stack.enter_async_context(stage.alice_client())
        bob_client = await stack.enter_async_context(stage.bob_client())
        talk = Talk(alice_client, GATEWAY)
        with screen.step("alice links her Matrix account"):
            matrix = stage.alice_on_matrix
            await talk.log_in(stage.synapse.url, matrix.name, matrix.password)
            await befriend_gateway(alice_client, GATEWAY)
        with screen.step("alice adds bob, and they talk"):
            await befriend(alice_client, BOB_JID)
            alice = await stack.enter_async_context(XmppApp(alice_client, BOB_JID))
            bob = await _hello(alice, bob_client, stage.synapse.user_id("alice"), stack)
        with screen.step(f"{burst} messages each way; the gateway is killed in the middle"):
            away_s = await _burst(alice, bob, stage, burst)
        with screen.step("both read everything"):
            await _read(alice, bob)
        faults = [
            *differences("alice", alice.mine, "bob", bob.theirs),
            *differences("bob", bob.mine, "alice", alice.theirs),
        ]
        with screen.step("a picture each way"):
            faults += await exchange(alice, bob, stage.prosody.upload_domain)
        return Outcome(
            talk.said,
            alice.lines,
            bob.lines,
            resent=alice.resent,
            bounced=alice.bounced,
            repeats=alice.repeats,
            away_s=away_s,
            faults=faults,
        )


async def _hello(
    alice: XmppApp, bob_client: MatrixClient, alice_id: str, stack: AsyncExitStack
) -> MatrixApp:
    """The first words, with everything that goes along with words."""
    alice.client.send_chat_state(BOB_JID, "composing")
    alice.say("Hello Bob! 👋 I am on XMPP, and\nthis is the second line.")
    room_id = await bob_client.wait_invite(sender=alice_id)
    await bob_client.join(room_id)
    bob = await stack.enter_async_context(MatrixApp(bob_client, room_id, alice_id))
    await bob.received(1)
    await alice.confirmed()
    await bob.read_all()
    await alice.read_by_contact()

    await bob_client.typing(room_id)
    await alice.client.wait_chat_state("composing", sender=BOB_JID)
    await bob.say("Hello Alice 🎉\n\nthree lines, <tags> & “quotes”; I see “👩🏽‍🚀” and ünïcödé.")
    await bob_client.typing(room_id, typing=False)
    await alice.received(1)
    alice.read_all()
    await bob.read_by_contact()

    mark = bob_client.inbox.mark()
    alice.client.send_chat_state(BOB_JID, "composing")
    await bob_client.wait_typing(room_id, alice_id, since=mark)
    alice.say("Now let us both talk at once, and see what a power cut does.")
    await alice.confirmed()
    return bob


async def _burst(alice: XmppApp, bob: MatrixApp, stage: Stage, burst: int) -> float:
    middle = asyncio.Event()

    async def from_alice() -> None:
        for number in range(1, burst + 1):
            alice.say(f"alice {number} of {burst}")
            if number == burst // 2:
                middle.set()
            await asyncio.sleep(_ALICE_PACE_S)

    async def from_bob() -> None:
        for number in range(1, burst + 1):
            await bob.say(f"bob {number} of {burst}")

    async def trouble() -> float:
        await middle.wait()
        stage.gateway.kill()
        killed_at = time.monotonic()
        await stage.gateway.start()
        return time.monotonic() - killed_at

    theirs = len(alice.theirs), len(bob.theirs)
    async with asyncio.TaskGroup() as group:
        group.create_task(from_alice())
        group.create_task(from_bob())
        away = group.create_task(trouble())
    await alice.confirmed()
    await alice.received(theirs[0] + burst)
    await bob.received(theirs[1] + burst)
    return away.result()


async def _read(alice: XmppApp, bob: MatrixApp) -> None:
    alice.read_all()
    await bob.read_by_contact()
    await bob.read_all()
    await alice.read_by_contact()
    # Nothing may follow: what was doubled would come now.
    await alice.client.ping(GATEWAY)
