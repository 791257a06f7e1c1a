# SPDX-License-Identifier: Apache-2.0
"""The promises of `gateway.adapter`, tried on every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import fields
from functools import partial
from typing import Any

import pytest

from gateway.adapter import Capabilities, Linked, LoginStep, OwnPicture, Relogin
from gateway.errors import (
    AdapterError,
    AuthExpired,
    BadLogin,
    NotFound,
    StoreUnavailable,
    TooLarge,
    Transient,
    Uncertain,
    Unsupported,
)
from gateway.events import (
    AcceptInvite,
    Affiliation,
    Availability,
    CreateRoom,
    DeclineInvite,
    Departure,
    DescribeRoom,
    DestroyRoom,
    FindRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    LiftBan,
    MarkRead,
    ModerateMessage,
    Presence,
    RemoteContactGone,
    RemoteIgnored,
    RemoteInvite,
    RemoteInviteGone,
    RemoteMemberGone,
    RemoteMessage,
    RemoteRead,
    RemoteRoom,
    RemoteRoomInvite,
    RemoteRoomMessage,
    RemoteUndecryptable,
    RemoveFromRoom,
    RoomAction,
    SearchPeople,
    SearchRooms,
    SendRoomText,
    SendText,
    SetAffiliation,
    SetRoomAvatar,
    SetVoice,
)
from gateway.ids import RemoteMessageId, RemoteRoomId
from tests.contract import group_speech, relaying, sent_files, speech
from tests.contract.account import Account
from tests.contract.files import files
from tests.contract.group_speech import PNG
from tests.contract.history import history
from tests.contract.peer import Peer

_TURNS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 200)
"""After how many turns of the loop something is cancelled."""


# --- login ------------------------------------------------------------------------------------


async def test_a_login_asks_and_links(peer: Peer) -> None:
    flow = peer.adapter.login()
    for step in (flow.first(), flow.at_once()):
        assert step.instructions
        assert all(field.label for field in step.fields)
        assert len({field.name for field in step.fields}) == len(step.fields)
        assert not any(field.secret and (field.default or field.options) for field in step.fields)
    linked = await peer.link()
    assert linked.remote_id == peer.alice
    assert linked.realm
    assert b"secret" not in linked.secret.lower() or len(linked.secret) > len(b"secret")


async def test_a_wrong_password_is_asked_for_again(peer: Peer) -> None:
    flow = peer.adapter.login()
    with pytest.raises(BadLogin) as caught:
        await peer.log_in(flow, peer.wrong_answers())
    assert caught.value.text
    assert "wrong" not in peer.wrong_answers().values() or "secret" not in caught.value.text
    assert caught.value.field in {*peer.answers(), None}
    await peer.log_in(flow, peer.answers())


async def test_a_login_all_at_once(peer: Peer) -> None:
    flow = peer.adapter.login()
    step = flow.at_once()
    assert any(field.secret for field in step.fields)
    named = {field.name for field in step.fields}
    assert named >= {"username", "password"} & peer.answers().keys()
    linked = await flow.submit({field.name: peer.answers()[field.name] for field in step.fields})
    assert isinstance(linked, Linked)
    assert linked.remote_id == peer.alice


async def test_going_back_in_a_login(peer: Peer) -> None:
    """The user goes back to the first step at every step, and comes again."""
    flow = peer.adapter.login()
    said: dict[str, str] = {}
    steps = 0
    step: LoginStep | Linked = flow.first()
    while isinstance(step, LoginStep) and steps < 10:
        steps += 1
        if said:
            first = {asked.name: said[asked.name] for asked in flow.first().fields}
            assert isinstance(await flow.submit(first), LoginStep)
        said |= {
            asked.name: peer.answers().get(asked.name, asked.default) for asked in step.fields
        }
        step = await flow.submit(said)
    assert isinstance(step, Linked)


async def test_a_login_again_asks_only_for_the_proof(peer: Peer) -> None:
    """Neither who nor where: only how, and the secret."""
    linked = await peer.link()
    again = Relogin(realm=linked.realm, remote_id=linked.remote_id)
    flow = peer.adapter.login(again)
    for step in (flow.first(), flow.at_once()):
        assert all(field.secret or field.options for field in step.fields)
    renewed = await peer.log_in(flow, {"password": peer.answers()["password"]})
    assert (renewed.realm, renewed.remote_id) == (linked.realm, linked.remote_id)
    assert renewed.secret != linked.secret or not linked.ours
    with pytest.raises(BadLogin):
        await peer.log_in(peer.adapter.login(again), {"password": "wrong"})


async def test_a_login_without_a_network_can_be_tried_again(peer: Peer) -> None:
    flow = peer.adapter.login()
    fields = {field.name: field for field in flow.first().fields}
    await peer.go_down()
    with pytest.raises((Transient, BadLogin)) as caught:
        await peer.log_in(flow, peer.answers())
    assert caught.value.text
    if isinstance(caught.value, BadLogin):
        # Where the address is an answer too, it may be the wrong one; the password never is.
        assert caught.value.field is not None
        assert not fields[caught.value.field].secret
    await peer.come_up()
    await peer.log_in(flow, peer.answers())


async def test_two_logins_are_two_sessions(peer: Peer) -> None:
    """Those that the gateway makes: what users bring is theirs."""
    linked = await peer.link()
    first, second = Account(linked, peer.http), Account(await peer.link(), peer.http)
    assert first.secret != second.secret or not linked.ours
    await peer.log_out(first)
    async with peer.running(second):
        pass


# --- events -----------------------------------------------------------------------------------


async def test_events_come_in_order_with_a_cursor(peer: Peer) -> None:
    account = await peer.account()
    before = account.cursor
    async with peer.running(account):
        ids = [await peer.says(f"text {n}") for n in range(5)]
        await account.text("text 4")
    messages = account.of(RemoteMessage)
    assert [(m.id, m.body) for m in messages] == [(i, f"text {n}") for n, i in enumerate(ids)]
    assert all(m.contact == peer.bob and not m.own for m in messages)
    assert account.cursor != before


async def test_own_messages_from_elsewhere_are_own(peer: Peer) -> None:
    if not peer.tells_own:
        return
    account = await peer.account()
    async with peer.running(account):
        sent = await peer.says_elsewhere("by my other client")
        message = await account.text("by my other client")
    assert (message.id, message.contact, message.own) == (sent, peer.bob, True)
    assert message.key is None


async def test_what_came_in_between_comes_at_the_next_start_and_once(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account):
        await peer.says("one")
        await account.text("one")
    await peer.says("two")
    async with peer.running(account):
        await account.text("two")
        await peer.says("three")
        await account.text("three")
    async with peer.running(account):
        await peer.says("four")
        await account.text("four")
    assert account.texts() == ["one", "two", "three", "four"]


async def test_while_nothing_may_be_fetched_the_user_can_write(peer: Peer) -> None:
    """Too much waits for the user (REQ-712): the network keeps what comes, not what they say."""
    account = await peer.account()

    def of_bob() -> list[str]:
        return [message.body for message in account.of(RemoteMessage) if not message.own]

    async with peer.running(account) as session:
        await peer.says("zero")
        await account.text("zero")
        account.has_room.clear()
        for number in range(3):
            await peer.says(str(number))
        await account.until(lambda: account.waits)
        texts = of_bob()
        for contact in (peer.bob, peer.carol):
            await session.send(SendText(contact=contact, body="hello"), f"contract.{contact}")
        assert of_bob() == texts
        account.has_room.set()
        await account.text("2")
    assert of_bob() == ["zero", "0", "1", "2"]


async def test_what_was_not_committed_comes_again(peer: Peer) -> None:
    """The network must not forget it: nothing is acknowledged before it is durable."""
    account = await peer.account()
    running = peer.running(account)
    task = await running.start()
    account.is_broken = True
    cursor = account.cursor
    await peer.says("one")
    await peer.says("two")
    await account.until(lambda: account.refused)
    assert account.texts() == []
    assert account.cursor == cursor
    account.is_broken = False
    await asyncio.wait({task}, timeout=1)
    if task.done():
        # It may give up, and says why.
        assert isinstance(task.exception(), Transient | StoreUnavailable)
        running = peer.running(account)
        await running.start()
    async with running_until_cancelled(running):
        await account.text("two")
    assert account.texts() == ["one", "two"]


async def test_events_of_a_killed_session_come_again(peer: Peer) -> None:
    """Cancelled in the middle of its work, wherever that is: nothing is lost, order is kept."""
    account = await peer.account()
    bodies = []
    for turns in _TURNS:
        bodies.append(f"after {turns}")
        await peer.says(bodies[-1])
        running = peer.running(account)
        task = asyncio.create_task(running.session.run())
        await _turns(turns)
        task.cancel()
        await asyncio.wait({task})
    async with peer.running(account):
        await account.text(bodies[-1])
    assert list(dict.fromkeys(account.texts())) == bodies


async def test_an_encrypted_event_is_handed_over_as_it_is(peer: Peer) -> None:
    if not peer.has_secrets:
        return
    account = await peer.account()
    async with peer.running(account):
        await peer.says_secretly()
        event = await account.first(RemoteUndecryptable)
    assert event.contact == peer.bob
    assert event.id
    assert event.content
    assert not event.own


# --- invitations ------------------------------------------------------------------------------


async def test_an_invitation_is_accepted(peer: Peer) -> None:
    if not peer.has_invitations:
        return
    account = await peer.account()
    async with peer.running(account) as session:
        await peer.carol_invites()
        invite = await account.first(RemoteInvite)
        assert invite.contact == peer.carol
        await session.send(AcceptInvite(contact=peer.carol), "contract.1")
        await peer.carol_is_answered(accepted=True)
        # What is repeated has happened already.
        await session.send(AcceptInvite(contact=peer.carol), "contract.1")


async def test_an_invitation_is_declined(peer: Peer) -> None:
    if not peer.has_invitations:
        return
    account = await peer.account()
    async with peer.running(account) as session:
        await peer.carol_invites()
        await account.first(RemoteInvite)
        await session.send(DeclineInvite(contact=peer.carol), "contract.1")
        await peer.carol_is_answered(accepted=False)
        await session.send(DeclineInvite(contact=peer.carol), "contract.1")


async def test_an_invitation_is_withdrawn(peer: Peer) -> None:
    if not peer.has_invitations:
        return
    account = await peer.account()
    async with peer.running(account):
        await peer.carol_invites()
        await account.first(RemoteInvite)
        await peer.carol_withdraws()
        assert (await account.first(RemoteInviteGone)).contact == peer.carol


# --- sending ----------------------------------------------------------------------------------


async def test_a_text_is_sent_when_the_session_is_live(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        sent = await session.send(SendText(contact=peer.bob, body="hello"), "contract.1")
        assert await peer.heard("hello") == [sent.remote_id]


async def test_texts_arrive_as_they_are(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        for number, text in enumerate(peer.plain_texts):
            await session.send(SendText(contact=peer.bob, body=text), f"contract.{number}")
            assert len(await peer.heard(text)) == 1
            await peer.says(text)
            await account.first(RemoteMessage, lambda m, text=text: m.body == text and not m.own)  # type: ignore[misc]


async def test_commands_of_different_chats_may_overlap(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        sending = [
            session.send(SendText(contact=to, body=f"to {to}"), f"contract.{number}")
            for number, to in enumerate((peer.bob, peer.carol))
        ]
        results = await asyncio.gather(*sending)
    assert len({sent.remote_id for sent in results}) == 2


# --- capabilities -----------------------------------------------------------------------------


async def _idempotent_send(peer: Peer) -> None:
    account = await peer.account()
    command = SendText(contact=peer.bob, body="once")
    async with peer.running(account) as session:
        first = await session.send(command, "contract.1")
        assert await session.send(command, "contract.1") == first
        assert await peer.heard("once") == [first.remote_id]
    async with peer.running(account) as session:
        # Another process does not remember anything; the network does.
        assert await session.send(command, "contract.1") == first
        other = await session.send(command, "contract.2")
        assert other != first
        assert len(await peer.heard("once")) == 2


async def _a_lost_answer(peer: Peer) -> None:
    """The network has the text, and nobody was told."""
    account = await peer.account()
    command = SendText(contact=peer.bob, body="lost answer")
    running = peer.running(account)
    task = await running.start()
    await peer.lose_next_answer()
    if not peer.adapter.capabilities.idempotent_send:
        with pytest.raises(Uncertain):
            await running.session.send(command, "contract.1")
    else:
        try:
            sent = await running.session.send(command, "contract.1")
        except Transient:
            task.cancel()
            await asyncio.wait({task})
            running = peer.running(account)
            task = await running.start()
            sent = await running.session.send(command, "contract.1")
        assert await peer.heard("lost answer") == [sent.remote_id]
    assert len(await peer.heard("lost answer")) == 1
    task.cancel()
    await asyncio.wait({task})


async def _echoes_key(peer: Peer) -> None:
    if not peer.tells_own:
        assert not peer.adapter.capabilities.echoes_key
        return
    account = await peer.account()
    async with peer.running(account) as session:
        sent = await session.send(SendText(contact=peer.bob, body="echo"), "contract.77")
        echo = await account.text("echo")
    assert (echo.own, echo.id, echo.contact) == (True, sent.remote_id, peer.bob)
    assert echo.key == ("contract.77" if peer.adapter.capabilities.echoes_key else None)


async def _typing(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        # So that both have a chat that was used.
        await session.send(SendText(contact=peer.bob, body="begin"), "contract.1")
        for active in (True, False):
            await session.set_typing(peer.bob, active)
            await peer.sees_typing(active)
        for active in (True, False):
            await peer.types(active)
            await account.until(lambda active=active: (peer.bob, active) in account.typists)  # type: ignore[misc]
    assert account.typists == [(peer.bob, True), (peer.bob, False)]


async def _read_marks(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        sent = await session.send(SendText(contact=peer.bob, body="read this"), "contract.1")
        assert sent.remote_id is not None
        await peer.heard("read this")
        await peer.reads(sent.remote_id)
        read = await account.first(RemoteRead, lambda read: not read.own)
        assert (read.contact, read.up_to) == (peer.bob, sent.remote_id)
        theirs = await peer.says("and you this")
        await account.text("and you this")
        await session.send(MarkRead(contact=peer.bob, up_to=theirs), "contract.2")
        await peer.sees_read(theirs)


async def _presence(peer: Peer) -> None:
    """The last state of each, in both directions, and nothing before the gateway says so."""
    account = await peer.account()

    def is_bob(availability: Availability, status: str) -> bool:
        shown = account.presences.get(peer.bob)
        return shown is not None and (shown.availability, shown.status) == (availability, status)

    async with peer.running(account) as session:
        for availability, status in (
            (Availability.AWAY, "At lunch"),
            (Availability.AVAILABLE, "Back"),
            (Availability.UNAVAILABLE, ""),
            (Availability.AVAILABLE, ""),
        ):
            await peer.shows(Presence(availability=availability, status=status))
            await account.until(partial(is_bob, availability, status))
        await peer.is_alone()
        for availability, status in (
            (Availability.AVAILABLE, "Here"),
            (Availability.AWAY, "Not quite"),
            (Availability.UNAVAILABLE, ""),
        ):
            await session.set_presence(Presence(availability=availability, status=status))
            await peer.sees_presence(availability, status)
    assert peer.alice not in account.presences
    assert account.presences.keys() <= {peer.bob, peer.carol}


async def _profile(peer: Peer) -> None:
    """The name and the picture are set each for itself, and the picture is taken away."""
    account = await peer.account()
    async with peer.running(account) as session:
        await session.set_profile(name="Alice of XMPP")
        await session.set_profile(picture=OwnPicture(data=PNG, media_type="image/png"))
        await peer.sees_profile("Alice of XMPP", is_pictured=True)
        await session.set_profile(name="Alice", picture=OwnPicture())
        await peer.sees_profile("Alice", is_pictured=False)


async def _max_text_bytes(peer: Peer) -> None:
    """A text of that size is taken whatever it consists of; a longer one never comes here."""
    account = await peer.account()
    limit = peer.adapter.capabilities.max_text_bytes
    async with peer.running(account) as session:
        for number, char in enumerate(["x", '"', "\\", "\n", "<", "\x7f", "é", "🙂"]):
            times, rest = divmod(limit - 2, len(char.encode()))
            text = f"x{char * times}{'y' * rest}z"  # some networks take no blanks at the ends
            assert len(text.encode()) == limit
            try:
                sent = await session.send(
                    SendText(contact=peer.bob, body=text), f"contract.{number}"
                )
            except TooLarge:
                pytest.fail(f"{limit} bytes of {char!r} are refused, but claimed")
            assert await peer.heard(text) == [sent.remote_id]


async def _live_only(peer: Peer) -> None:
    account = await peer.account()
    await peer.says("while nobody listened")
    async with peer.running(account):
        await peer.says("now")
        await account.text("now")
    expected = [] if peer.adapter.capabilities.live_only else ["while nobody listened"]
    assert account.texts() == [*expected, "now"]


async def _contact_list(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account):
        await peer.removes_contact()
        gone = await account.first(RemoteContactGone)
    assert gone.contact == peer.bob


async def _lists_contacts(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        await peer.says("hello")
        await account.text("hello")
        (bob,) = [each for each in await session.contacts() if each.id == peer.bob]
    assert bob.was_talked_with


async def _blocking(peer: Peer) -> None:
    """The network is told, and tells it, whoever asks for it; what is so already stays so."""
    account = await peer.account()
    async with peer.running(account) as session:
        await session.block(peer.bob, True)
        await account.first(RemoteIgnored, lambda event: event.users == (peer.bob,))
        await session.block(peer.bob, True)
        await session.block(peer.carol, True)
        both = tuple(sorted((peer.bob, peer.carol)))
        await account.first(RemoteIgnored, lambda event: event.users == both)
        await session.block(peer.bob, False)
        await account.first(RemoteIgnored, lambda event: event.users == (peer.carol,))


async def _reporting(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        await session.report(peer.bob, "spam")
        await peer.sees_report("spam")


async def _encryption(peer: Peer) -> None:
    """A dialogue that says how things are, and asks what the user wants; or a reason why not."""
    account = await peer.account()
    async with peer.running(account) as session:
        if not peer.adapter.capabilities.encryption:
            with pytest.raises(Unsupported):
                session.encryption()
            return
        step = session.encryption().first()
        assert step.instructions
        (asked,) = step.fields
        for option in asked.options:
            with suppress(AdapterError):  # with a reason, as all of them have
                said = await session.encryption().submit({asked.name: option.value})
                assert said if isinstance(said, str) else said.fields


async def _rooms(peer: Peer) -> None:
    """What a group is and who is there, what is said both ways, and that it is over."""
    account = await peer.account()
    async with peer.running(account) as session:
        group = await peer.makes_group("Group of the suite")
        room = await account.first(RemoteRoom, lambda event: event.room == group)
        assert (room.name, room.is_new) == ("Group of the suite", True)
        members = {member.user: member for member in room.members or ()}
        assert members.keys() == {peer.alice, peer.bob}
        assert members[peer.bob].affiliation is Affiliation.OWNER
        said = await peer.says_in_group(group, "hello all")
        heard = await account.first(RemoteRoomMessage, lambda event: event.body == "hello all")
        assert (heard.room, heard.id, heard.sender) == (group, said, peer.bob)
        command = SendRoomText(room=group, body="hello bob")
        sent = await session.send(command, "contract.g1")
        if peer.adapter.capabilities.idempotent_send:
            assert await session.send(command, "contract.g1") == sent
        assert await peer.heard_in_group(group, "hello bob") == [sent.remote_id]
        if peer.tells_own:
            echo = await account.first(RemoteRoomMessage, lambda event: event.body == "hello bob")
            assert (echo.id, echo.sender) == (sent.remote_id, peer.alice)
            if peer.adapter.capabilities.echoes_key:
                assert echo.key == "contract.g1"
        await peer.removes_from_group(group, "enough")
        gone = await account.first(RemoteMemberGone, lambda event: event.user == peer.alice)
        reason = "enough" if peer.tells_reasons else ""
        assert (gone.how, gone.actor, gone.reason) == (Departure.KICKED, peer.bob, reason)


async def _coming(peer: Peer) -> None:
    """Coming into groups and going out of them."""
    account = await peer.account()
    possible = peer.adapter.capabilities.room_actions
    async with peer.running(account) as session:
        if JoinRoom in possible:
            group = await peer.invites_to_group("Invited")
            told = await account.first(RemoteRoomInvite, lambda event: event.room == group)
            assert (told.inviter, told.name) == (peer.bob, "Invited")
            assert await session.manage(JoinRoom(address=group)) == group
            await peer.lets_in(group, "Invited")
            room = await account.first(RemoteRoom, lambda event: event.room == group)
            assert (room.name, room.is_new) == ("Invited", True)
        made: RemoteRoomId | None
        if CreateRoom in possible:
            made = await session.manage(CreateRoom(name="Made", is_private=False))
            assert made is not None
            await peer.lets_in(made, "Made")
            await session.manage(InviteToRoom(room=made, user=peer.bob))
        else:
            made = await peer.makes_group("Made")
        await account.first(RemoteRoom, lambda event: (event.room, event.name) == (made, "Made"))
        await session.manage(LeaveRoom(room=made))
        await peer.lets_out(made)
        gone = await account.first(RemoteMemberGone, lambda event: event.room == made)
        assert (gone.user, gone.how) == (peer.alice, Departure.LEFT)


def _actions(peer: Peer, group: RemoteRoomId, message: RemoteMessageId) -> Iterator[RoomAction]:
    """Those of a group of alice, in an order in which each can be done."""
    yield ModerateMessage(room=group, message=message, reason="spam")
    for affiliation in (Affiliation.ADMIN, Affiliation.MEMBER):
        yield SetAffiliation(room=group, user=peer.bob, affiliation=affiliation)
    for may_speak in (False, True):
        yield SetVoice(room=group, user=peer.bob, may_speak=may_speak)
    is_private = False if peer.opens_groups else None
    yield DescribeRoom(room=group, name="Ruled", topic="Tea", is_private=is_private)
    for png in (group_speech.PNG, b""):
        yield SetRoomAvatar(room=group, data=png, media_type="image/png" if png else "")
    yield InviteToRoom(room=group, user=peer.carol)
    yield RemoveFromRoom(room=group, user=peer.bob, reason="enough")
    yield RemoveFromRoom(room=group, user=peer.carol, is_ban=True, reason="for good")
    yield LiftBan(room=group, user=peer.carol)
    yield DestroyRoom(room=group, reason="over")


async def _ruling(peer: Peer) -> None:
    """Whatever can be done is done when the answer is there, and what is refused is said."""
    account = await peer.account()
    possible, done = peer.adapter.capabilities.room_actions, set()
    async with peer.running(account) as session:
        group = await peer.makes_own_group("Group of alice")
        await account.first(RemoteRoom, lambda event: event.room == group)
        message = await peer.says_in_group(group, "buy this")
        await account.first(RemoteRoomMessage, lambda event: event.id == message)
        for action in _actions(peer, group, message):
            if type(action) not in possible:
                continue
            await session.manage(action)
            await peer.sees_action(action)
            done.add(type(action))
            if isinstance(action, RemoveFromRoom) and LiftBan in possible:
                assert list(await session.banned(group)) == [peer.carol] * action.is_ban
            if isinstance(action, LiftBan):
                assert list(await session.banned(group)) == []
    assert done == possible - {JoinRoom, FindRoom, CreateRoom, LeaveRoom}


async def _room_actions(peer: Peer) -> None:
    await _coming(peer)
    await _ruling(peer)


async def _room_search(peer: Peer) -> None:
    """What anybody may find is found, and leads into the group."""
    account = await peer.account()
    async with peer.running(account) as session:
        name = f"Group for {peer.alice[:10]} to find"
        group = await peer.publishes_group(name, "All about tea")
        found = await session.search_rooms(SearchRooms(words=name))
        (room,) = [room for room in found.rooms if room.room == group]
        assert (room.name, room.topic, room.members) == (name, "All about tea", 1)
        assert room.is_open
        assert await session.manage(JoinRoom(address=room.address)) == group
        page = await session.search_rooms(SearchRooms(most=1))
        assert len(page.rooms) == 1
        assert not (await session.search_rooms(SearchRooms(words="no such group"))).rooms


_LOOKS, _LOOK_S = 100, 0.1


async def _people_search(peer: Peer) -> None:
    """Whoever is in a group with the account is found, by a part of their id."""
    account = await peer.account()
    async with peer.running(account) as session:
        await peer.makes_group("Where people meet")
        words = str(peer.bob).removeprefix("@").partition(":")[0]
        wanted = SearchPeople(words=words)
        found = await session.search_people(wanted)
        for _ in range(_LOOKS):  # a homeserver keeps its directory in the background
            if found:
                break
            await asyncio.sleep(_LOOK_S)
            found = await session.search_people(wanted)
        assert peer.bob in [one.user for one in found]
        assert not await session.search_people(SearchPeople(words="nobody is called so"))


_EXERCISES: dict[str, Callable[[Peer], Coroutine[Any, Any, None]]] = {
    "idempotent_send": _idempotent_send,
    "echoes_key": _echoes_key,
    "typing": _typing,
    "read_marks": _read_marks,
    "live_only": _live_only,
    "contact_list": _contact_list,
    "lists_contacts": _lists_contacts,
    "blocking": _blocking,
    "reporting": _reporting,
    "presence": _presence,
    "profile": _profile,
    "rooms": _rooms,
    **group_speech.EXERCISES,
    **relaying.EXERCISES,
    **speech.EXERCISES,
    "files": files,
    "history": history,
    "room_actions": _room_actions,
    "room_search": _room_search,
    "people_search": _people_search,
    "encryption": _encryption,
    "max_text_bytes": _max_text_bytes,
    **sent_files.EXERCISES,
}
_ALWAYS = {"echoes_key", "encryption", "live_only", "max_text_bytes"}
"""These say something in either case."""


def test_every_capability_is_tried() -> None:
    assert _EXERCISES.keys() == {field.name for field in fields(Capabilities)}


@pytest.mark.parametrize("capability", sorted(_EXERCISES))
async def test_what_is_claimed_works(peer: Peer, capability: str) -> None:
    if capability in _ALWAYS or getattr(peer.adapter.capabilities, capability):
        await _EXERCISES[capability](peer)


@pytest.mark.parametrize("capability", ["read_marks", "typing"])
async def test_it_works_in_groups_too(peer: Peer, capability: str) -> None:
    offers = peer.adapter.capabilities
    if offers.rooms and getattr(offers, capability):
        await getattr(group_speech, capability)(peer)


async def test_what_was_done_in_between_comes_at_the_next_start(peer: Peer) -> None:
    offers = peer.adapter.capabilities
    if peer.tells_own and offers.edits and offers.reactions and offers.retractions:
        await speech.missed(peer)


async def test_a_lost_answer_is_never_a_second_edit_or_reaction(peer: Peer) -> None:
    offers = peer.adapter.capabilities
    if offers.idempotent_send and offers.edits and offers.reactions and offers.retractions:
        await speech.lost_answers(peer)


async def test_a_lost_answer_is_never_a_second_message(peer: Peer) -> None:
    await _a_lost_answer(peer)


# --- errors -----------------------------------------------------------------------------------


async def test_find_knows_people_and_says_who_is_none(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        await session.find(peer.bob)
        await session.find(peer.carol)
        with pytest.raises(NotFound) as caught:
            await session.find(peer.nobody)
    assert caught.value.text


async def test_a_text_to_nobody_is_refused(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        with pytest.raises(NotFound) as caught:
            await session.send(SendText(contact=peer.nobody, body="hello?"), "contract.1")
        assert caught.value.text
        # It costs that command only.
        await session.send(SendText(contact=peer.bob, body="still there"), "contract.2")


async def test_a_network_that_is_down_is_worth_another_attempt(peer: Peer) -> None:
    account = await peer.account()
    running = peer.running(account)
    task = await running.start()
    await peer.go_down()
    commands: list[Awaitable[object]] = [running.session.find(peer.nobody)]
    if peer.adapter.capabilities.read_marks:
        read = MarkRead(contact=peer.bob, up_to=RemoteMessageId("m0"))
        commands.append(running.session.send(read, "contract.1"))
    for command in commands:
        with pytest.raises(AdapterError) as caught:
            await command
        assert isinstance(caught.value, Transient | NotFound)
    if peer.adapter.capabilities.idempotent_send:
        with pytest.raises(Transient):
            await running.session.send(SendText(contact=peer.bob, body="down"), "contract.2")
    await asyncio.wait({task}, timeout=10)
    assert isinstance(task.exception(), Transient)
    again = peer.running(account)
    assert isinstance((await again.start()).exception(), Transient)
    await peer.come_up()
    await peer.says("we are back")
    async with peer.running(account):
        await account.text("we are back")


async def test_a_revoked_login_is_final(peer: Peer) -> None:
    account = await peer.account()
    running = peer.running(account)
    task = await running.start()
    await peer.revoke(account)
    await asyncio.wait({task}, timeout=10)
    with pytest.raises(AuthExpired) as caught:
        task.result()
    assert caught.value.text
    with pytest.raises(AuthExpired):
        await peer.running(account).session.run()


async def test_a_log_out_revokes_the_login(peer: Peer) -> None:
    account = await peer.account()
    await peer.log_out(account)
    if peer.ends_logins:
        with pytest.raises(AuthExpired):
            await peer.adapter.session(account).run()
    # Somebody else may have been first.
    await peer.log_out(account)


async def test_a_log_out_without_a_network_says_so(peer: Peer) -> None:
    account = await peer.account()
    await peer.go_down()
    with pytest.raises(AdapterError) as caught:
        await peer.adapter.session(account).log_out()
    assert caught.value.text


# --- cancellation -----------------------------------------------------------------------------


async def test_a_cancelled_session_leaves_nothing_behind(peer: Peer) -> None:
    account = await peer.account()
    await peer.says("something to do")
    await _settled()
    before = asyncio.all_tasks()
    for turns in _TURNS:
        task = asyncio.create_task(peer.adapter.session(account).run())
        await _turns(turns)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await _settled()
        assert asyncio.all_tasks() - before == _servers(before)


async def test_a_cancelled_command_leaves_nothing_behind(peer: Peer) -> None:
    account = await peer.account()
    async with peer.running(account) as session:
        await session.send(SendText(contact=peer.bob, body="before"), "contract.0")
        await _settled()
        before = asyncio.all_tasks()
        for turns in _TURNS:
            command = SendText(contact=peer.bob, body=f"cancelled {turns}")
            task = asyncio.create_task(session.send(command, f"contract.{turns + 1}"))
            await _turns(turns)
            task.cancel()
            await asyncio.wait({task})
            await _settled()
            assert asyncio.all_tasks() - before == _servers(before)
        # The session has survived it.
        await session.send(SendText(contact=peer.bob, body="after"), "contract.1000")
        assert len(await peer.heard("after")) == 1


# --- helpers ----------------------------------------------------------------------------------


class running_until_cancelled:
    """The rest of a session that was started by hand."""

    def __init__(self, running: Any) -> None:
        self._running = running

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        await self._running.__aexit__()


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def _settled() -> None:
    """Time for what was cancelled to end, and for the network to notice."""
    await asyncio.sleep(0.01)


def _servers(before: set[asyncio.Task[Any]]) -> set[asyncio.Task[Any]]:
    """Tasks that belong to the network in this very process, not to the adapter."""
    return {
        task
        for task in asyncio.all_tasks() - before
        if any(
            part in repr(task.get_coro())
            for part in ("_serve", "Proxy", "_sync_loop", "RequestHandler")
        )
    }
