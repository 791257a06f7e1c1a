"""The Matrix adapter on a real Synapse, driven through the contract."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.matrix import MatrixAdapter
from gateway.errors import (
    AuthExpired,
    BadLogin,
    Forbidden,
    NotFound,
    Transient,
    Unsupported,
)
from gateway.events import (
    AcceptInvite,
    DeclineInvite,
    MarkRead,
    RemoteGap,
    RemoteInvite,
    RemoteInviteGone,
    RemoteProfile,
    RemoteRead,
    RemoteUndecryptable,
    SendText,
)
from gateway.ids import RemoteMessageId, RemoteUserId
from tests.e2e.matrix_worlds import ChatWorld, chat_world, link
from tests.peers.matrix_client import MatrixClient
from tests.peers.synapse import Synapse
from tests.unit.matrix.memory import MemoryAccount, MemoryNetwork

pytestmark = pytest.mark.asyncio(loop_scope="function")


@pytest.fixture
async def world(synapse: Synapse, http: aiohttp.ClientSession) -> AsyncIterator[ChatWorld]:
    async with chat_world(synapse, http) as made:
        yield made


async def _rooms(client: MatrixClient) -> list[str]:
    return list((await client.request("GET", "joined_rooms"))["joined_rooms"])


# --- login --------------------------------------------------------------------------------------


async def test_login_by_url_and_full_id(synapse: Synapse, http: aiohttp.ClientSession) -> None:
    await synapse.add_user("login1", "secret")
    adapter = MatrixAdapter(MemoryNetwork(http, default_homeserver=synapse.url))
    linked = await link(adapter, synapse.url + "/", "@login1:localhost")
    assert linked.remote_id == "@login1:localhost"
    assert linked.realm == synapse.url
    assert json.loads(linked.secret).keys() == {
        "homeserver", "user_id", "device_id", "access_token"
    }  # fmt: skip
    assert (await link(adapter, "", "login1")).remote_id == linked.remote_id
    session = adapter.session(MemoryAccount(linked, http))
    await session.log_out()
    await session.log_out()
    with pytest.raises(AuthExpired):
        await adapter.session(MemoryAccount(linked, http)).run()


async def test_login_with_a_wrong_password_asks_for_it_again(
    synapse: Synapse, http: aiohttp.ClientSession
) -> None:
    await synapse.add_user("login2", "secret")
    adapter = MatrixAdapter(MemoryNetwork(http))
    with pytest.raises(BadLogin, match="password") as caught:
        await link(adapter, synapse.url, "login2", "wrong")
    assert caught.value.field == "password"


@pytest.mark.parametrize(
    "typed", ["http://127.0.0.1:1", "nowhere.invalid", "not a name", "ftp://x"]
)
async def test_login_at_a_wrong_homeserver_asks_for_it_again(
    http: aiohttp.ClientSession, typed: str
) -> None:
    with pytest.raises(BadLogin) as caught:
        await link(MatrixAdapter(MemoryNetwork(http)), typed, "bob")
    assert caught.value.field == "homeserver"


async def test_login_at_a_web_site_that_is_no_homeserver(http: aiohttp.ClientSession) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>Welcome</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        with pytest.raises(BadLogin, match="not a Matrix homeserver") as caught:
            await link(MatrixAdapter(MemoryNetwork(http)), f"http://127.0.0.1:{port}", "bob")
        assert caught.value.field == "homeserver"
    finally:
        await runner.cleanup()


async def test_private_homeservers_are_refused_unless_allowed(
    synapse: Synapse, http: aiohttp.ClientSession
) -> None:
    adapter = MatrixAdapter(MemoryNetwork(http, allow_private_homeservers=False))
    for url in (
        synapse.url,
        f"http://localhost:{synapse.port}",
    ):
        with pytest.raises((Forbidden, BadLogin), match=r"private network|http://"):
            await link(adapter, url, "bob")
    await adapter.stop()


async def test_a_name_that_leads_to_a_private_address_is_refused(
    synapse: Synapse, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = aiohttp.AsyncResolver.resolve

    async def lead_here(self: Any, host: str, *more: Any) -> Any:
        return await resolve(self, "127.0.0.1" if host == "hs.example" else host, *more)

    monkeypatch.setattr(aiohttp.AsyncResolver, "resolve", lead_here)
    adapter = MatrixAdapter(
        MemoryNetwork(http, allow_private_homeservers=False, allow_insecure_homeservers=True)
    )
    with pytest.raises(Forbidden, match="private network"):
        await link(adapter, f"http://hs.example:{synapse.port}", "bob")
    await adapter.stop()


# --- messages -----------------------------------------------------------------------------------


async def test_messages_both_ways_and_echo_of_another_client(world: ChatWorld) -> None:
    room = await world.chat()
    await world.bob.send_text(room, "before the link")
    async with world.running() as session:
        event_id = await world.bob.send_text(room, "hello alice")
        message = await world.account.wait_text("hello alice")
        assert (message.contact, message.id, message.own) == (world.contact, event_id, False)

        command = SendText(contact=world.contact, body="hello bob")
        sent = await session.send(command, "key.1")
        assert await session.send(command, "key.1") == sent
        seen = await world.bob.wait_text("hello bob", room_id=room)
        assert seen.event_id == sent.remote_id
        echo = await world.account.wait_text("hello bob")
        assert (echo.own, echo.key, echo.id) == (True, "key.1", sent.remote_id)

        await world.phone.send_text(room, "from my phone")
        own = await world.account.wait_text("from my phone")
        assert (own.own, own.key, own.contact) == (True, None, world.contact)

        await session.send(SendText(contact=world.contact, body="/me waves"), "key.2")
        emote = await world.bob.wait_text("waves")
        assert emote.content["msgtype"] == "m.emote"
        assert (await world.account.wait_text("/me waves")).own
    assert "before the link" not in [message.body for message in world.account.messages()]
    bodies = [
        event.body for event in world.bob.inbox.find(lambda event: event.body == "hello bob")
    ]
    assert bodies == ["hello bob"]


async def test_an_absence_is_filled_in_order(world: ChatWorld) -> None:
    room = await world.chat()
    async with world.running():
        await world.bob.send_text(room, "first")
        await world.account.wait_text("first")
    texts = [f"missed {number}" for number in range(200)]
    for text in texts:
        await world.bob.send_text(room, text)
    async with world.running():
        pass
    assert [message.body for message in world.account.messages()] == ["first", *texts]
    assert not world.account.inbox.find(lambda item: isinstance(item, RemoteGap))


async def test_a_gap_beyond_the_bound_is_named(
    synapse: Synapse, http: aiohttp.ClientSession
) -> None:
    async with chat_world(synapse, http, max_gap=20) as world:
        room = await world.chat()
        async with world.running():
            pass
        for number in range(100):
            await world.bob.send_text(room, f"missed {number}")
        async with world.running():
            pass
        bodies = [message.body for message in world.account.messages()]
        assert bodies == [f"missed {number}" for number in range(30, 100)]
        gap = await world.account.wait(RemoteGap)
        assert gap.id == world.account.messages()[0].id
        assert world.account.inbox.items.index(gap) < world.account.inbox.items.index(
            world.account.messages()[0]
        )


async def test_a_refused_cursor_costs_nothing(world: ChatWorld) -> None:
    room = await world.chat()
    async with world.running():
        await world.bob.send_text(room, "first")
        await world.account.wait_text("first")
    for number in range(70):
        await world.bob.send_text(room, f"missed {number}")
    world.account.cursor = "bogus"
    async with world.running():
        await world.bob.send_text(room, "last")
        await world.account.wait_text("last")
    bodies = [message.body for message in world.account.messages()]
    assert bodies == ["first", *(f"missed {number}" for number in range(70)), "last"]


async def test_nothing_is_lost_when_a_commit_fails(world: ChatWorld) -> None:
    room = await world.chat()
    running = world.running()
    await running.__aenter__()
    world.account.is_broken = True
    await world.bob.send_text(room, "during the fault")
    assert running.task is not None
    with pytest.raises(Transient):
        await running.task
    assert not world.account.messages()
    world.account.is_broken = False
    async with world.running():
        await world.account.wait_text("during the fault")


async def test_a_revoked_token_ends_the_session(world: ChatWorld) -> None:
    running = world.running()
    await running.__aenter__()
    await world.phone.request("POST", "logout/all")
    assert running.task is not None
    with pytest.raises(AuthExpired):
        await asyncio.wait_for(running.task, 10)


# --- invitations --------------------------------------------------------------------------------


async def test_an_invitation_is_accepted(world: ChatWorld) -> None:
    async with world.running() as session:
        room = await world.bob.create_direct(world.alice)
        await world.bob.send_text(room, "are you there?")
        invite = await world.account.wait(RemoteInvite)
        assert invite.contact == world.contact
        await session.send(AcceptInvite(contact=world.contact), "accept")
        await world.bob.wait_member(room, world.alice)
        assert (await world.account.wait_text("are you there?")).contact == world.contact
        assert await world.phone.direct_rooms() == {world.contact: [room]}
        await session.send(AcceptInvite(contact=world.contact), "accept")
        await session.send(SendText(contact=world.contact, body="yes"), "k")
        await world.bob.wait_text("yes", room_id=room)
    assert not world.account.inbox.find(lambda item: isinstance(item, RemoteInviteGone))


async def test_a_message_accepts_an_invitation_from_before_the_link(world: ChatWorld) -> None:
    room = await world.bob.create_direct(world.alice)
    async with world.running() as session:
        await world.account.wait(RemoteInvite)
        await session.send(SendText(contact=world.contact, body="here I am"), "k")
        await world.bob.wait_text("here I am", room_id=room)


async def test_an_invitation_is_declined_and_can_come_again(world: ChatWorld) -> None:
    async with world.running() as session:
        room = await world.bob.create_direct(world.alice)
        first = await world.account.wait(RemoteInvite)
        mark = world.account.inbox.mark()
        await session.send(DeclineInvite(contact=world.contact), "decline")
        await world.bob.wait_member(room, world.alice, "leave")
        await world.bob.invite(room, world.alice)
        again = await world.account.wait(RemoteInvite, since=mark)
        assert again.id != first.id


async def test_a_withdrawn_invitation_is_told(world: ChatWorld) -> None:
    async with world.running() as session:
        body = {"preset": "private_chat", "is_direct": True, "invite": [world.alice]}
        room = (await world.bob.request("POST", "createRoom", body))["room_id"]
        await world.account.wait(RemoteInvite)
        await world.bob.request("POST", f"rooms/{room}/kick", {"user_id": world.alice})
        assert (await world.account.wait(RemoteInviteGone)).contact == world.contact
        with pytest.raises(NotFound):
            await session.send(AcceptInvite(contact=world.contact), "accept")


async def test_an_invitation_to_a_group_is_not_told(world: ChatWorld) -> None:
    async with world.running():
        await world.bob.create_room(name="group", invite=[world.alice])
        await world.bob.create_direct(world.alice)
        await world.account.wait(RemoteInvite)
    assert len(world.account.inbox.find(lambda item: isinstance(item, RemoteInvite))) == 1


# --- rooms --------------------------------------------------------------------------------------


async def test_the_first_message_makes_one_direct_room(world: ChatWorld) -> None:
    async with world.running() as session:
        await session.send(SendText(contact=world.contact, body="one"), "k1")
        room = await world.bob.wait_invite(sender=world.alice)
        await session.send(SendText(contact=world.contact, body="two"), "k2")
        await world.bob.join(room)
        await world.bob.wait_text("two", room_id=room)
        assert await world.phone.direct_rooms() == {world.contact: [room]}
        assert await _rooms(world.phone) == [room]
        state = await world.phone.request("GET", f"rooms/{room}/state")
        await world.bob.send_text(room, "three")
        await world.account.wait_text("three")
    assert "m.room.encryption" not in {event["type"] for event in state}  # type: ignore[index]


@pytest.mark.parametrize("lost", ["answer", "commit"])
async def test_a_room_that_was_made_before_a_crash_is_found_again(
    world: ChatWorld, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = SendText(contact=world.contact, body="hello")
    async with world.running() as session:
        api = session._api  # type: ignore[attr-defined]
        post = api.post

        async def interrupted(*path: str, **body: Any) -> dict[str, Any]:
            answer: dict[str, Any] = await post(*path, **body)
            if path == ("createRoom",):
                if lost == "answer":
                    raise Transient("the connection broke")
                world.account.is_broken = True
            return answer

        monkeypatch.setattr(api, "post", interrupted)
        with pytest.raises(Transient):
            await session.send(command, "k")
        monkeypatch.undo()
        stored, cursor = world.account.state(), world.account.cursor
        room = await world.bob.wait_invite(sender=world.alice)
        world.account.is_broken = False
        if lost == "answer":
            await session.send(command, "k")
    if lost == "commit":
        world.account.stored, world.account.cursor = dict(stored), cursor
        async with world.running() as session:
            await session.send(command, "k")
    await world.bob.join(room)
    await world.bob.wait_text("hello", room_id=room)
    assert await _rooms(world.phone) == [room]
    assert await world.phone.direct_rooms() == {world.contact: [room]}
    assert not [key for key in world.account.stored if key.startswith("opening:")]


async def test_a_contact_who_does_not_exist_leaves_no_room(world: ChatWorld) -> None:
    nobody = RemoteUserId("@nobody:localhost")
    foreign = RemoteUserId("@nobody:elsewhere.invalid")
    async with world.running() as session:
        with pytest.raises(NotFound):
            await session.send(SendText(contact=nobody, body="x"), "k1")
        with pytest.raises(Forbidden):
            await session.send(SendText(contact=foreign, body="x"), "k2")
        with pytest.raises(NotFound):
            await session.find(nobody)
        assert (await session.find(world.contact)).name == world.bob.user
    assert await _rooms(world.phone) == []
    assert not [key for key in world.account.stored if key.startswith("opening:")]


async def test_a_room_made_by_another_client_is_used(world: ChatWorld) -> None:
    async with world.running() as session:
        room = await world.chat()
        await world.bob.send_text(room, "here")
        await world.account.wait_text("here")  # so the gateway knows the room
        await session.send(SendText(contact=world.contact, body="hello"), "k")
        await world.bob.wait_text("hello", room_id=room)
    assert await _rooms(world.phone) == [room]


async def test_a_message_after_the_user_left_opens_another_room(world: ChatWorld) -> None:
    first = await world.chat()
    async with world.running() as session:
        await session.send(SendText(contact=world.contact, body="one"), "k1")
        await world.phone.leave(first)
        await session.send(SendText(contact=world.contact, body="two"), "k2")
        (second,) = await _rooms(world.phone)
        await world.bob.join(second)
        await world.bob.wait_text("two", room_id=second)


# --- encryption ---------------------------------------------------------------------------------


async def test_without_encryption_nothing_is_sent_to_an_encrypted_room(
    synapse: Synapse, http: aiohttp.ClientSession
) -> None:
    async with chat_world(synapse, http, encryption=False) as world:
        await _nothing_is_sent(world)


async def _nothing_is_sent(world: ChatWorld) -> None:
    room = await world.phone.create_direct(world.bob.user_id, encrypted=True)
    await world.bob.join(room)
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"}
    async with world.running() as session:
        event_id = await world.bob.send_event(room, "m.room.encrypted", content)
        event = await world.account.wait(RemoteUndecryptable)
        assert (event.id, event.contact, event.own) == (event_id, world.contact, False)
        assert json.loads(event.content)["content"] == content
        with pytest.raises(Unsupported, match="encrypted"):
            await session.send(SendText(contact=world.contact, body="secret"), "k")
    assert not world.bob.inbox.find(lambda event: event.body == "secret")
    assert len(await _rooms(world.phone)) == 1


async def test_encryption_that_is_switched_on_counts_at_once(world: ChatWorld) -> None:
    room = await world.chat()
    async with world.running() as session:
        await session.send(SendText(contact=world.contact, body="clear"), "k1")
        path = f"rooms/{room}/state/m.room.encryption/"
        await world.phone.request("PUT", path, {"algorithm": "odd"})
        await world.phone.send_text(room, "mark")
        await world.account.wait_text("mark")
        with pytest.raises(Unsupported):
            await session.send(SendText(contact=world.contact, body="secret"), "k2")
        await world.phone.request("PUT", path, {})
        await world.phone.send_text(room, "mark 2")
        await world.account.wait_text("mark 2")
        with pytest.raises(Unsupported):
            await session.send(SendText(contact=world.contact, body="secret"), "k3")
    with pytest.raises(Unsupported):
        async with world.running() as session:
            await session.send(SendText(contact=world.contact, body="secret"), "k4")


# --- names, typing, read marks ------------------------------------------------------------------


async def test_names_are_told_on_change(world: ChatWorld) -> None:
    room = await world.chat()
    async with world.running():
        profile = await world.account.wait(RemoteProfile)
        assert (profile.contact, profile.name) == (world.contact, world.bob.user)
        await world.bob.set_displayname("Bob the Builder")
        await world.account.wait(RemoteProfile, lambda event: event.name == "Bob the Builder")
        await world.bob.send_text(room, "x")
        await world.account.wait_text("x")
    assert len(world.account.inbox.find(lambda item: isinstance(item, RemoteProfile))) == 2


async def test_a_third_person_is_named(world: ChatWorld) -> None:
    await world.synapse.add_user(third := f"third-{world.bob.user}", "secret")
    room = await world.chat()
    async with world.running(), MatrixClient(world.synapse.url, third, "secret") as carol:
        await carol.set_displayname("Carol")
        await world.phone.invite(room, carol.user_id)
        await carol.join(room)
        await carol.send_text(room, "me too")
        message = await world.account.wait_text("Carol: me too")
        assert message.contact == world.contact


async def test_typing_both_ways(world: ChatWorld) -> None:
    room = await world.chat()
    async with world.running() as session:
        await world.bob.typing(room)
        await world.account.inbox.wait_for(_is(("typing", world.contact, True)))
        await world.bob.typing(room, False)
        await world.account.inbox.wait_for(_is(("typing", world.contact, False)))
        await session.set_typing(world.contact, True)
        await world.bob.wait_typing(room, world.alice)
        mark = world.bob.inbox.mark()
        await session.set_typing(world.contact, False)
        await world.bob.wait_typing(room, world.alice, typing=False, since=mark)


def _is(wanted: object) -> Callable[[object], bool]:
    return lambda item: item == wanted


async def test_read_marks_both_ways(world: ChatWorld) -> None:
    room = await world.chat()
    async with world.running() as session:
        sent = await session.send(SendText(contact=world.contact, body="read this"), "k")
        assert sent.remote_id is not None
        await world.bob.wait_text("read this")
        await world.bob.read(room, sent.remote_id)
        read = await world.account.wait(RemoteRead, lambda event: not event.own)
        assert (read.contact, read.up_to) == (world.contact, sent.remote_id)

        first = await world.bob.send_text(room, "and this")
        await world.account.wait_text("and this")
        await session.send(MarkRead(contact=world.contact, up_to=RemoteMessageId(first)), "r")
        await world.bob.wait_receipt(first, user_id=world.alice)

        second = await world.bob.send_text(room, "and that")
        await world.account.wait_text("and that")
        await world.phone.read(room, second)
        await world.account.wait(RemoteRead, lambda event: event.own and event.up_to == second)
    async with world.running() as session:
        await session.send(MarkRead(contact=world.contact, up_to=RemoteMessageId(first)), "r")
