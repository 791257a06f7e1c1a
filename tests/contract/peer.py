# SPDX-License-Identifier: Apache-2.0
"""What the suite needs of a network: people on it, and faults of it.

The account of every test is alice. Bob is her contact; there is a chat of both. Carol is somebody
whom she does not know yet. What a network does not have is not asked of its peer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import aiohttp
import pytest

from gateway.adapter import Adapter, Linked, LoginFlow, LoginStep
from gateway.errors import Unsupported
from gateway.events import Author, Availability, ContactCard, LinkPreview, Presence, RoomAction
from gateway.ids import RemoteMessageId, RemoteRoomId, RemoteUserId
from tests.contract.account import Account, Running

Place = RemoteRoomId | None


class Peer(ABC):
    """One network, with people of the test's own."""

    adapter: Adapter
    http: aiohttp.ClientSession
    alice: RemoteUserId
    bob: RemoteUserId
    carol: RemoteUserId
    nobody: RemoteUserId
    """An id that no person has."""
    tells_own = True
    """An account is told what it does itself, in whatever app."""
    tells_retractions = True
    """An account is told what others take back."""
    has_invitations = True
    """Somebody can ask an account for a chat, and it can accept or decline."""
    has_secrets = True
    """People can write what the account cannot read."""
    ends_logins = True
    """A login can be ended by whoever has logged in."""
    takes_empty_files = True
    """Files with nothing in them can be sent."""
    tells_reasons = True
    """Who removes somebody from a group can say why."""
    opens_groups = True
    """Groups can be made such as anybody may come into."""
    plain_texts: Sequence[str] = (
        "<b>&amp;</b>", " blanks ", "two\nlines\n", "é e\u0301 漢 🙂 👩\u200d👧", "\u202edlrow",
        "/hm", "*a*",
    )  # fmt: skip
    """Such as the network carries as they are."""

    async def link(self) -> Linked:
        """Log alice in."""
        return await self.log_in(self.adapter.login(), self.answers())

    async def log_in(self, flow: LoginFlow, answers: Mapping[str, str]) -> Linked:
        """Answer a login step by step, as a person does."""
        said: dict[str, str] = {}
        step: LoginStep | Linked = flow.first()
        while isinstance(step, LoginStep):
            said |= {asked.name: answers.get(asked.name, asked.default) for asked in step.fields}
            step = await flow.submit(said)
        return step

    async def account(self) -> Account:
        """A linked account that was connected once, so that it has a cursor."""
        account = Account(await self.link(), self.http)
        async with self.running(account):
            await account.until(lambda: account.cursor is not None)
        return account

    def running(self, account: Account) -> Running:
        """The next session of an account."""
        return Running(self.adapter, account)

    async def log_out(self, account: Account) -> None:
        """End the login of an account; where that cannot be, it is said."""
        ending = self.adapter.session(account).log_out()
        if self.ends_logins:
            await ending
        else:
            with pytest.raises(Unsupported) as caught:
                await ending
            assert caught.value.text

    # --- login --------------------------------------------------------------------------------

    @abstractmethod
    def answers(self) -> Mapping[str, str]:
        """The right answers to all questions of a login by password."""

    @abstractmethod
    def wrong_answers(self) -> Mapping[str, str]:
        """The same with a wrong password."""

    # --- what people do -------------------------------------------------------------------------

    @abstractmethod
    async def says(self, body: str) -> RemoteMessageId:
        """Bob writes to alice."""

    async def says_elsewhere(self, body: str) -> RemoteMessageId:
        """Alice writes to bob with another client."""
        raise NotImplementedError

    @abstractmethod
    async def heard(self, body: str) -> list[RemoteMessageId]:
        """All messages of alice to bob with this text, once there is one."""

    async def calls(self, call: str, *, elsewhere: bool = False) -> RemoteMessageId:
        """Bob calls alice, or she calls him with another client; returns the id of that event.
        ``call``: what the test calls it."""
        raise NotImplementedError

    async def hangs_up(self, call: str, *, elsewhere: bool = False) -> RemoteMessageId:
        """Who has called ends it, and nobody had answered."""
        raise NotImplementedError

    async def sees_file(
        self, group: Place, name: str
    ) -> tuple[RemoteMessageId | None, bytes, str]:
        """The only file of this name that alice has sent there, once there is one: its message,
        all of it, and what is said about it. Where the network has files."""
        raise NotImplementedError

    async def nudges(self) -> RemoteMessageId:
        """Bob wants alice's attention, without a word."""
        raise NotImplementedError

    async def sees_nudge(self, message: RemoteMessageId) -> None:
        """Wait until bob sees that with this message alice wants his."""
        raise NotImplementedError

    async def types(self, active: bool) -> None:
        """Bob begins or stops typing."""
        raise NotImplementedError

    async def sees_typing(self, active: bool) -> None:
        """Wait until bob sees that alice types, or has stopped."""
        raise NotImplementedError

    async def shows(self, presence: Presence) -> None:
        """Bob says how he can be reached."""
        raise NotImplementedError

    async def is_alone(self) -> None:  # noqa: B027 - only where other clients count too
        """Alice's other client is not there."""

    async def sees_presence(self, availability: Availability, status: str = "") -> None:
        """Wait until bob sees alice like that."""
        raise NotImplementedError

    async def sees_profile(self, name: str, *, is_pictured: bool) -> None:
        """Wait until bob sees that alice is called so, and has a picture or none."""
        raise NotImplementedError

    async def reads(self, message: RemoteMessageId) -> None:
        """Bob has read alice's messages up to this one."""
        raise NotImplementedError

    async def sees_read(self, message: RemoteMessageId) -> None:
        """Wait until bob sees that alice has read his message."""
        raise NotImplementedError

    async def removes_contact(self) -> None:
        """Bob is no longer in alice's list of contacts; where there is one."""
        raise NotImplementedError

    async def carol_invites(self) -> None:
        """Carol asks alice for a chat."""
        raise NotImplementedError

    async def carol_withdraws(self) -> None:
        """Carol takes that back."""
        raise NotImplementedError

    async def carol_is_answered(self, accepted: bool) -> None:
        """Wait until carol sees that alice has accepted or declined."""
        raise NotImplementedError

    async def says_secretly(self) -> None:
        """Bob writes something encrypted that nobody can read."""
        raise NotImplementedError

    # --- groups ---------------------------------------------------------------------------------

    async def makes_group(self, name: str) -> RemoteRoomId:
        """Bob makes a group with alice in it."""
        raise NotImplementedError

    async def had_group(
        self, name: str, said: Sequence[str]
    ) -> tuple[RemoteRoomId, list[RemoteMessageId]]:
        """Bob makes a group with alice in it, before her account is linked, and says this there.
        He takes the second text back."""
        raise NotImplementedError

    async def invites_to_group(self, name: str) -> RemoteRoomId:
        """Bob makes a group and invites alice."""
        raise NotImplementedError

    async def lets_in(self, group: RemoteRoomId, name: str) -> None:  # noqa: B027
        """Alice has asked to come in or has made it, and is in: where nobody else says so."""

    async def lets_out(self, group: RemoteRoomId) -> None:  # noqa: B027
        """Alice has asked to go, and is out: likewise."""

    async def says_in_group(self, group: RemoteRoomId, body: str) -> RemoteMessageId:
        """Bob says something there."""
        raise NotImplementedError

    async def heard_in_group(self, group: RemoteRoomId, body: str) -> list[RemoteMessageId]:
        """All that alice has said there in these words, once she has said something."""
        raise NotImplementedError

    async def links_group(self, name: str, code: str) -> RemoteRoomId:
        """Bob makes a group with the account of the house, and sends a code there that links
        it."""
        raise NotImplementedError

    async def unlinks_group(self, group: RemoteRoomId) -> None:
        """He wants it to be linked no longer."""
        raise NotImplementedError

    async def sees_said_for(self, group: RemoteRoomId, author: Author, body: str) -> None:
        """The account of the house has said there what somebody without an account says."""
        raise NotImplementedError

    async def makes_own_group(self, name: str) -> RemoteRoomId:
        """Alice makes a group with another client, and bob is in it."""
        raise NotImplementedError

    async def publishes_group(self, name: str, topic: str) -> RemoteRoomId:
        """Bob makes a group that anybody may find and join."""
        raise NotImplementedError

    async def sees_action(self, action: RoomAction) -> None:
        """The network has done it."""
        raise NotImplementedError

    async def pictures(self, group: RemoteRoomId, png: bytes) -> None:
        """Bob gives this picture to himself and to a group."""
        raise NotImplementedError

    async def removes_from_group(self, group: RemoteRoomId, reason: str) -> None:
        """Bob removes alice."""
        raise NotImplementedError

    # --- what is said about what was said -------------------------------------------------------
    # In a group, or in the chat of both if there is none.

    async def edits(
        self, group: Place, message: RemoteMessageId, body: str, *, elsewhere: bool = False
    ) -> RemoteMessageId:
        """Bob edits what he has said; or alice with another client."""
        raise NotImplementedError

    async def sees_edit(self, group: Place, message: RemoteMessageId, body: str) -> None:
        """Wait until bob sees that alice has edited her message."""
        raise NotImplementedError

    async def replies(self, group: Place, message: RemoteMessageId, body: str) -> RemoteMessageId:
        """Bob answers a message."""
        raise NotImplementedError

    async def sees_quote(
        self, group: Place, message: RemoteMessageId, part: str, body: str
    ) -> None:
        """Wait until bob sees that alice answers a part of a message, or all of it if that part is
        not in it."""
        raise NotImplementedError

    async def sees_reply(self, group: Place, message: RemoteMessageId, body: str) -> None:
        """Wait until bob sees that alice answers a message."""
        raise NotImplementedError

    async def reacts(
        self, group: Place, message: RemoteMessageId, emoji: str, *, elsewhere: bool = False
    ) -> RemoteMessageId:
        """Bob reacts to a message; or alice with another client."""
        raise NotImplementedError

    async def sees_reactions(
        self, group: Place, message: RemoteMessageId, emoji: set[str]
    ) -> None:
        """Wait until these are what bob sees of alice's reactions to a message."""
        raise NotImplementedError

    async def takes_back(
        self, group: Place, message: RemoteMessageId, *, elsewhere: bool = False
    ) -> None:
        """Bob takes a message or a reaction back; or alice with another client."""
        raise NotImplementedError

    async def sees_taken_back(self, group: Place, message: RemoteMessageId) -> None:
        """Wait until bob sees that alice has taken a message back."""
        raise NotImplementedError

    async def shares(
        self, group: Place, data: bytes, name: str, body: str = ""
    ) -> RemoteMessageId:
        """Bob shares a file, and says something about it."""
        raise NotImplementedError

    async def tells_of(self, group: Place, card: ContactCard) -> RemoteMessageId:
        """Bob tells of somebody."""
        raise NotImplementedError

    async def links_to(self, group: Place, body: str, preview: LinkPreview) -> RemoteMessageId:
        """Bob says something with a link, and what that leads to."""
        raise NotImplementedError

    async def sees_preview(self, group: Place, body: str, preview: LinkPreview) -> None:
        """Wait until bob sees what alice says with a link, and what she says of that."""
        raise NotImplementedError

    async def asks(self, group: Place, question: str, answers: Sequence[str]) -> RemoteMessageId:
        """Bob begins a poll, of which one may choose one answer."""
        raise NotImplementedError

    async def sees_vote(self, group: Place, poll: RemoteMessageId, answer: str) -> None:
        """Wait until bob sees that alice has chosen this one, and no other."""
        raise NotImplementedError

    async def sees_report(self, reason: str) -> None:
        """Wait until those who run the network were told by alice that bob behaves badly."""
        raise NotImplementedError

    async def sees_muted(self, group: Place, is_muted: bool) -> None:
        """Wait until the network notifies alice no more of what bob says, or again."""
        raise NotImplementedError

    async def begins_thread(self, group: Place) -> RemoteMessageId:
        """Bob begins a thread; returns the message with which it begins."""
        return await (self.says("tea?") if group is None else self.says_in_group(group, "tea?"))

    async def says_in_thread(
        self, group: Place, root: RemoteMessageId, after: RemoteMessageId, body: str
    ) -> RemoteMessageId:
        """Bob says something in a thread that began with ``root``, after another message there."""
        raise NotImplementedError

    async def sees_in_thread(
        self,
        group: Place,
        root: RemoteMessageId,
        after: RemoteMessageId,
        body: str,
        *,
        is_answer: bool,
    ) -> None:
        """Wait until bob sees that alice says this in a thread, after a message there or in answer
        to it."""
        raise NotImplementedError

    async def mentions(self, group: Place, before: str, after: str) -> None:
        """Bob says something in which he names alice."""
        raise NotImplementedError

    async def sees_mention(self, group: Place, body: str) -> None:
        """Wait until bob sees that alice says this, and names him."""
        raise NotImplementedError

    # --- the same in groups alone ---------------------------------------------------------------

    async def reads_in_group(self, group: RemoteRoomId, message: RemoteMessageId) -> None:
        """Bob has read up to this message."""
        raise NotImplementedError

    async def sees_read_in_group(self, group: RemoteRoomId, message: RemoteMessageId) -> None:
        """Wait until bob sees that alice has read up to his message."""
        raise NotImplementedError

    async def types_in_group(self, group: RemoteRoomId, active: bool) -> None:
        """Bob begins or stops typing."""
        raise NotImplementedError

    async def sees_typing_in_group(self, group: RemoteRoomId, active: bool) -> None:
        """Wait until bob sees that alice types, or has stopped."""
        raise NotImplementedError

    # --- faults -------------------------------------------------------------------------------

    @abstractmethod
    async def go_down(self) -> None:
        """The network cannot be reached; connections break."""

    @abstractmethod
    async def come_up(self) -> None:
        """It can again."""

    @abstractmethod
    async def lose_next_answer(self) -> None:
        """The network does what alice wants next, a text or what is about one, but its answer is
        lost with the connection."""

    @abstractmethod
    async def revoke(self, account: Account) -> None:
        """The credentials of an account are no longer valid."""
