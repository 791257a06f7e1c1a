# SPDX-License-Identifier: Apache-2.0
"""What is said about what was said, both ways, in chats and groups: `test_contract` tries it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from gateway.adapter import Sent, Session
from gateway.errors import Transient
from gateway.events import (
    CallStage,
    Command,
    ContactCard,
    LinkPreview,
    Mention,
    React,
    ReactInRoom,
    RemoteCall,
    RemoteMessage,
    RemoteReaction,
    RemoteRead,
    RemoteRetraction,
    RemoteRoomMessage,
    RemoteRoomReaction,
    RemoteRoomRetraction,
    Retract,
    RetractInRoom,
    SendRoomText,
    SendText,
)
from gateway.ids import RemoteMessageId
from tests.contract.account import Account
from tests.contract.group_speech import in_group
from tests.contract.peer import Peer, Place

Event = (
    RemoteMessage
    | RemoteRoomMessage
    | RemoteReaction
    | RemoteRoomReaction
    | RemoteRetraction
    | RemoteRoomRetraction
)
Kind = TypeVar("Kind")


@dataclass
class Talk:
    """A chat or a group of bob and alice, with a session of hers."""

    peer: Peer
    account: Account
    session: Session
    group: Place

    def key(self, number: int) -> str:
        """Of a command, in this conversation alone."""
        return f"contract.{'chat' if self.group is None else 'group'}.{number}"

    def text(self, **about: Any) -> Command:
        """Alice says something."""
        if self.group is None:
            return SendText(contact=self.peer.bob, **about)
        return SendRoomText(room=self.group, **about)

    def reaction(self, message: RemoteMessageId, *emoji: str) -> Command:
        """She reacts with these."""
        if self.group is None:
            return React(contact=self.peer.bob, message=message, emoji=emoji)
        return ReactInRoom(room=self.group, message=message, emoji=emoji)

    def retraction(self, message: RemoteMessageId) -> Command:
        """She takes it back."""
        if self.group is None:
            return Retract(contact=self.peer.bob, message=message)
        return RetractInRoom(room=self.group, message=message)

    async def does(self, key: str, command: Command) -> Sent:
        """Twice under the same key, where the network knows it by that: it is done once."""
        sent = await self.session.send(command, key)
        if self.peer.adapter.capabilities.idempotent_send:
            assert await self.session.send(command, key) == sent
        return sent

    async def says(self, key: str, **about: Any) -> RemoteMessageId:
        """Alice says something; returns its id."""
        sent = await self.does(key, self.text(**about))
        assert sent.remote_id is not None
        return sent.remote_id

    async def hears(self, body: str) -> RemoteMessageId:
        """Bob says something, and alice is told."""
        if self.group is None:
            said = await self.peer.says(body)
        else:
            said = await self.peer.says_in_group(self.group, body)
        await self.told(said)
        return said

    async def told(self, message: RemoteMessageId) -> RemoteMessage | RemoteRoomMessage:
        """A message, when it has come."""
        kind = RemoteMessage if self.group is None else RemoteRoomMessage
        return await self._first(kind, lambda event: event.id == message)

    async def reacted(self, reaction: RemoteMessageId) -> RemoteReaction | RemoteRoomReaction:
        """A reaction, likewise."""
        kind = RemoteReaction if self.group is None else RemoteRoomReaction
        return await self._first(kind, lambda event: event.id == reaction)

    async def taken(self, message: RemoteMessageId) -> RemoteRetraction | RemoteRoomRetraction:
        """That something was taken back."""
        kind = RemoteRetraction if self.group is None else RemoteRoomRetraction
        return await self._first(kind, lambda event: event.message == message)

    async def _first(self, kind: type[Kind], wanted: Callable[[Any], bool]) -> Kind:
        event: Any = await self.account.first(kind, wanted)
        place = self.peer.bob if self.group is None else self.group
        assert (event.contact if self.group is None else event.room) == place
        found: Kind = event
        return found

    def is_hers(self, event: Event) -> bool:
        """Whether alice has made it."""
        if isinstance(event, RemoteRoomRetraction):
            return event.by == self.peer.alice
        if isinstance(event, RemoteRoomMessage | RemoteRoomReaction):
            return event.sender == self.peer.alice
        return event.own

    def reactions(self, message: RemoteMessageId) -> dict[str, RemoteMessageId]:
        """Alice's to a message, as the gateway has been told of them."""
        if self.group is None:
            return dict(self.account.chat_reactions(self.peer.bob, message))
        return dict(self.account.reactions(self.group, message))


@asynccontextmanager
async def _in_chat(peer: Peer) -> AsyncIterator[Talk]:
    account = await peer.account()
    async with peer.running(account) as session:
        yield Talk(peer, account, session, None)


@asynccontextmanager
async def _in_group(peer: Peer) -> AsyncIterator[Talk]:
    async with in_group(peer) as (account, session, group):
        yield Talk(peer, account, session, group)


async def _edits(talk: Talk) -> None:
    """An edit has an id of its own, and names the first text, however often that was edited."""
    peer = talk.peer
    said = await talk.hears("helo")
    for body in ("hello", "hello!"):
        edit = await talk.told(await peer.edits(talk.group, said, body))
        assert (edit.body, edit.edits, talk.is_hers(edit)) == (body, said, False)
    mine = await talk.says(talk.key(1), body="hi bbo")
    for number, body in enumerate(("hi bob", "hi, bob"), start=2):
        made = await talk.says(talk.key(number), body=body, edits=mine)
        assert made != mine
        await peer.sees_edit(talk.group, mine, body)
        if not peer.tells_own:
            continue
        echo = await talk.told(made)
        assert (echo.body, echo.edits, talk.is_hers(echo)) == (body, mine, True)
        if peer.adapter.capabilities.echoes_key:
            assert echo.key == talk.key(number)
    if not peer.tells_own:
        return
    edit = await talk.told(await peer.edits(talk.group, mine, "hullo", elsewhere=True))
    assert (edit.body, edit.edits, edit.key, talk.is_hers(edit)) == ("hullo", mine, None, True)


async def _replies(talk: Talk) -> None:
    said = await talk.hears("tea?")
    mine = await talk.says(talk.key(1), body="yes", reply_to=said)
    await talk.peer.sees_reply(talk.group, said, "yes")
    if talk.peer.tells_own:
        echo = await talk.told(mine)
        assert (echo.body, echo.reply_to, echo.edits) == ("yes", said, None)
    answer = await talk.told(await talk.peer.replies(talk.group, mine, "at noon"))
    assert (answer.body, answer.reply_to, answer.edits) == ("at noon", mine, None)


async def _quotes(talk: Talk) -> None:
    """A part of what is answered. What is no part of it, as the network has it, is no reason to
    refuse the answer."""
    said = await talk.hears("tea, or 🙂 milk?")
    for number, part in enumerate(("🙂 milk", "something else"), start=1):
        await talk.says(talk.key(number), body=f"yes {number}", reply_to=said, cites=part)
        await talk.peer.sees_quote(talk.group, said, part, f"yes {number}")


async def _threads(talk: Talk) -> None:
    """What belongs to a thread, and what answers something in it."""
    group, root = talk.group, await talk.peer.begins_thread(talk.group)
    first = await talk.peer.says_in_thread(group, root, root, "green")
    told = await talk.told(first)
    assert (told.thread, told.thread_after, told.reply_to) == (root, root, None)
    mine = await talk.says(talk.key(1), body="black", thread=root, thread_after=first)
    await talk.peer.sees_in_thread(group, root, first, "black", is_answer=False)
    if talk.peer.tells_own:
        echo = await talk.told(mine)
        assert (echo.thread, echo.reply_to) == (root, None)
    about = {"thread": root, "thread_after": mine, "reply_to": first}
    answer = await talk.says(talk.key(2), body="both", **about)
    await talk.peer.sees_in_thread(group, root, first, "both", is_answer=True)
    if talk.peer.tells_own:
        echo = await talk.told(answer)
        assert (echo.thread, echo.reply_to) == (root, first)


async def _reactions(talk: Talk) -> None:
    if talk.peer.tells_own:
        await _reactions_and_echoes(talk)
        return
    peer, group = talk.peer, talk.group
    said = await talk.hears("done")
    for number, emoji in enumerate((("👍",), ("🎉",), (), ("👍",))):
        sent = await talk.does(talk.key(number), talk.reaction(said, *emoji))
        assert sent.reactions.keys() == set(emoji)
        await peer.sees_reactions(group, said, set(emoji))
    mine = await talk.says(talk.key(5), body="me too")
    for theirs in ("👍", "🔥", "👍"):
        made = await peer.reacts(group, mine, theirs)
        told = await talk.reacted(made)
        assert (told.message, told.emoji, talk.is_hers(told)) == (mine, theirs, False)
        await peer.takes_back(group, made)
        await talk.taken(made)


async def _reactions_and_echoes(talk: Talk) -> None:
    """What alice reacts with is a set; bob's, and those of her other client, come and go one by
    one."""
    peer, account, group = talk.peer, talk.account, talk.group
    said = await talk.hears("done")

    async def reacts(key: str, *emoji: str) -> set[RemoteMessageId]:
        command = talk.reaction(said, *emoji)
        sent = await talk.does(key, command)
        assert sent.reactions.keys() == set(emoji)
        await peer.sees_reactions(group, said, set(emoji))
        await account.until(lambda: talk.reactions(said) == sent.reactions)
        assert await talk.session.send(command, key) == sent
        return set(sent.reactions.values())

    first = await reacts(talk.key(1), "👍", "❤️")
    second = await reacts(talk.key(2), "❤️", "🎉")
    assert len(first & second) == 1
    await reacts(talk.key(3))
    last = await reacts(talk.key(4), "👍")
    assert not last & (first | second)
    [made] = last
    told = await talk.reacted(made)
    assert (told.message, told.emoji, talk.is_hers(told)) == (said, "👍", True)
    if peer.adapter.capabilities.echoes_key:
        assert told.key == talk.key(4)

    mine = await talk.says(talk.key(5), body="me too")
    for emoji, elsewhere in (("🙂", False), ("🙃", True)):
        made = await peer.reacts(group, mine, emoji, elsewhere=elsewhere)
        told = await talk.reacted(made)
        assert (told.message, told.emoji, told.key) == (mine, emoji, None)
        assert talk.is_hers(told) is elsewhere
        await peer.takes_back(group, made, elsewhere=elsewhere)
        assert talk.is_hers(await talk.taken(made)) is elsewhere


async def _reactions_within_limits(talk: Talk) -> None:
    """As many as the network says that there can be, each of those that it says there are."""
    offers = talk.peer.adapter.capabilities
    allowed = offers.reactions_allowed or ("👍", "❤️", "🎉")
    most = offers.reactions_per_message or len(allowed)
    said = await talk.hears("done")
    for number in range(0, len(allowed), most):
        emoji = allowed[number : number + most]
        sent = await talk.does(talk.key(number), talk.reaction(said, *emoji))
        assert sent.reactions.keys() == set(emoji)
        await talk.peer.sees_reactions(talk.group, said, set(emoji))


async def _retractions(talk: Talk) -> None:
    peer, group = talk.peer, talk.group
    if peer.tells_retractions:
        said = await talk.hears("a mistake")
        await peer.takes_back(group, said)
        assert not talk.is_hers(await talk.taken(said))
    mine = await talk.says(talk.key(1), body="another one")
    await talk.does(talk.key(2), talk.retraction(mine))
    await peer.sees_taken_back(group, mine)
    if not peer.tells_own:
        return
    assert talk.is_hers(await talk.taken(mine))
    last = await talk.says(talk.key(3), body="the last one")
    await peer.takes_back(group, last, elsewhere=True)
    assert talk.is_hers(await talk.taken(last))


async def _cards(talk: Talk) -> None:
    carol = ContactCard(name="Carol", phones=("+49 30 1",), user=talk.peer.carol)
    told = await talk.told(await talk.peer.tells_of(talk.group, carol))
    assert (told.body, told.cards) == ("", (carol,))


async def _previews(talk: Talk) -> None:
    url = "https://www.example.org/tea"
    tea = LinkPreview(url=url, title="Tea", description="All about it", site="An example")
    told = await talk.told(await talk.peer.links_to(talk.group, f"Look: {url}", tea))
    assert (told.body, told.previews) == (f"Look: {url}", (tea,))
    await talk.says(talk.key(1), body=f"Here: {url}", previews=(tea,))
    await talk.peer.sees_preview(talk.group, f"Here: {url}", tea)


async def _polls(talk: Talk) -> None:
    """The newest one; who votes again has changed their mind."""
    contact = talk.peer.bob if talk.group is None else None
    assert await talk.session.poll(contact, talk.group) is None
    await talk.told(await talk.peer.asks(talk.group, "Coffee?", ("yes", "no")))
    asked = await talk.peer.asks(talk.group, "Tea?", ("yes", "no"))
    await talk.told(asked)
    poll = await talk.session.poll(contact, talk.group)
    assert poll is not None
    assert (poll.question, poll.answers, poll.most) == ("Tea?", ("yes", "no"), 1)
    assert poll.chosen == ()
    for place, answer in ((1, "no"), (0, "yes")):
        await talk.session.vote(poll, [place])
        await talk.peer.sees_vote(talk.group, asked, answer)


async def _muting(talk: Talk) -> None:
    """As often as it is asked for."""
    contact = talk.peer.bob if talk.group is None else None
    for is_muted in (True, True, False, False):
        await talk.session.mute(contact, talk.group, is_muted)
        await talk.peer.sees_muted(talk.group, is_muted)
        muted = await talk.session.muted()
        assert (contact in muted.contacts, talk.group in muted.rooms) == (
            is_muted and talk.group is None,
            is_muted and talk.group is not None,
        )


async def _last_said(peer: Peer) -> None:
    """Each message of a chat once, as it is now, and no more of them than wanted."""
    async with _in_chat(peer) as talk:
        gone, wrong = await talk.hears("gone"), await talk.hears("helo")
        mine = await talk.says(talk.key(1), body="hi")
        await talk.told(mine)
        await peer.takes_back(None, gone)
        await talk.taken(gone)
        edit = await peer.edits(None, wrong, "hello")
        await talk.told(edit)
        said = await talk.session.last_said(peer.bob, 2)
        assert [(one.id, one.body, one.own) for one in said] == [
            (wrong, "hello", False),
            (mine, "hi", True),
        ]
        assert [one.id for one in await talk.session.last_said(peer.bob, 1)] == [mine]


async def _both(exercise: Callable[[Talk], Coroutine[Any, Any, None]], peer: Peer) -> None:
    async with _in_chat(peer) as talk:
        await exercise(talk)
    if peer.adapter.capabilities.rooms:
        async with _in_group(peer) as talk:
            await exercise(talk)


async def _mentions(talk: Talk) -> None:
    """Somebody is named in a part of the text."""
    peer = talk.peer
    await peer.mentions(talk.group, "I say, ", ", tea?")
    kind = RemoteMessage if talk.group is None else RemoteRoomMessage
    told: Any = await talk.account.first(kind, lambda event: bool(event.mentions))
    assert told.body == "I say, Alice, tea?"
    assert told.mentions == (Mention(user=peer.alice, begin=7, end=12),)
    body, bob = "yes, bob!", Mention(user=peer.bob, begin=5, end=8)
    mine = await talk.says(talk.key(1), body=body, mentions=(bob,))
    await peer.sees_mention(talk.group, body)
    if peer.tells_own:
        echo = await talk.told(mine)
        assert (echo.body, echo.mentions) == (body, (bob,))


async def _calls(peer: Peer) -> None:
    """Bob calls, and hangs up: both say which call it is, and whose. Alice calls elsewhere."""
    account = await peer.account()
    async with peer.running(account):
        for number, elsewhere in enumerate((False, True)):
            call = f"call{number}"
            rang = await peer.calls(call, elsewhere=elsewhere)
            told = await _of_call(account, rang)
            assert (told.contact, told.stage, told.own) == (peer.bob, CallStage.RINGS, elsewhere)
            over = await _of_call(account, await peer.hangs_up(call, elsewhere=elsewhere))
            assert (over.call, over.stage) == (told.call, CallStage.OVER)
            assert (over.contact, over.own) == (peer.bob, elsewhere)
            assert over.sent_at >= told.sent_at


async def _of_call(account: Account, event: RemoteMessageId) -> RemoteCall:
    return await account.first(RemoteCall, lambda told: told.id == event)


async def _attention(peer: Peer) -> None:
    """Bob wants alice's attention, and she wants his; neither says a word."""
    account = await peer.account()
    async with peer.running(account) as session:
        nudge = await peer.nudges()
        told = await account.first(RemoteMessage, lambda told: told.id == nudge)
        assert (told.contact, told.own, told.attention) == (peer.bob, False, True)
        command = SendText(contact=peer.bob, body="", attention=True)
        sent = await session.send(command, "contract.nudge.1")
        assert sent.remote_id is not None
        await peer.sees_nudge(sent.remote_id)


EXERCISES: dict[str, Callable[[Peer], Coroutine[Any, Any, None]]] = {
    "edits": partial(_both, _edits),
    "replies": partial(_both, _replies),
    "quotes": partial(_both, _quotes),
    "threads": partial(_both, _threads),
    "reactions": partial(_both, _reactions),
    "reactions_per_message": partial(_both, _reactions_within_limits),
    "reactions_allowed": partial(_both, _reactions_within_limits),
    "retractions": partial(_both, _retractions),
    "attention": _attention,
    "calls": _calls,
    "mentions": partial(_both, _mentions),
    "muting": partial(_both, _muting),
    "chat_history": _last_said,
    "cards": partial(_both, _cards),
    "previews": partial(_both, _previews),
    "polls": partial(_both, _polls),
}


async def missed(peer: Peer) -> None:
    """What is done while the account is not connected comes with the next session, in order."""
    account = await peer.account()
    said = await peer.says("helo")
    mine = await peer.says_elsewhere("hi")
    async with peer.running(account):
        await account.text("hi")
    edit = await peer.edits(None, said, "hello")
    reaction = await peer.reacts(None, mine, "👍")
    await peer.takes_back(None, reaction)
    own = await peer.reacts(None, said, "🎉", elsewhere=True)
    await peer.takes_back(None, said)
    async with peer.running(account):
        await peer.says("end")
        await account.text("end")
    events = [event for event in account.events if not isinstance(event, RemoteRead)]
    begin = next(n for n, event in enumerate(events) if getattr(event, "id", "") == edit)
    found = [
        (type(event), getattr(event, "message", None), getattr(event, "own", None))
        for event in events[begin:-1]
    ]
    # A network may leave out what is no longer there.
    made = (RemoteReaction, mine, False)
    assert [event for event in found if event != made] == [
        (RemoteMessage, None, False),
        (RemoteRetraction, reaction, False),
        (RemoteReaction, said, True),
        (RemoteRetraction, said, False),
    ]
    assert account.chat_reactions(peer.bob, said) == {"🎉": own}


async def lost_answers(peer: Peer) -> None:
    """The network has done it, and nobody was told: it is not done again."""
    account = await peer.account()
    async with peer.running(account) as session:
        said = await peer.says("done")
        await account.text("done")
        sent = await session.send(SendText(contact=peer.bob, body="helo"), "contract.1")
        mine = sent.remote_id
        assert mine is not None
        await account.text("helo")
    commands: list[Command] = [
        SendText(contact=peer.bob, body="hello", edits=mine),
        React(contact=peer.bob, message=said, emoji=("👍", "🎉")),
        Retract(contact=peer.bob, message=mine),
    ]
    for number, command in enumerate(commands, start=2):
        await _lost_once(peer, account, command, f"contract.{number}")
    async with peer.running(account):
        await account.first(RemoteRetraction)
        await peer.says("end")
        await account.text("end")
    assert [event.body for event in account.of(RemoteMessage) if event.edits] == ["hello"]
    assert sorted(event.emoji for event in account.of(RemoteReaction)) == ["🎉", "👍"]
    # A network may take back what edits have said with it, one by one.
    taken = [event.message for event in account.of(RemoteRetraction)]
    assert taken.count(mine) == 1
    assert len(taken) == len(set(taken))
    await peer.sees_reactions(None, said, {"👍", "🎉"})


async def _lost_once(peer: Peer, account: Account, command: Command, key: str) -> None:
    running = peer.running(account)
    task = await running.start()
    await peer.lose_next_answer()
    try:
        await running.session.send(command, key)
    except Transient:
        task.cancel()
        await asyncio.wait({task})
        running = peer.running(account)
        task = await running.start()
        await running.session.send(command, key)
    task.cancel()
    await asyncio.wait({task})
