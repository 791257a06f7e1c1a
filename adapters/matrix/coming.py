# SPDX-License-Identifier: Apache-2.0
"""Coming into groups and going out of them.

Matrix spec, client-server API, "POST /join/{roomIdOrAlias}", "GET /directory/room/{roomAlias}",
"POST /knock/{roomIdOrAlias}",
"POST /createRoom", "POST /rooms/{roomId}/leave", "POST /rooms/{roomId}/invite". That the account
is in or out is told by /sync, whoever has done it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from adapters.matrix.gaps import is_room_id
from adapters.matrix.http import Api
from adapters.matrix.links import RoomLink, parsed
from adapters.matrix.marks import GROUP_MARKER
from adapters.matrix.opening import ENCRYPTION
from gateway.adapter import AccountContext
from gateway.errors import Banned, Forbidden, Knocked, NotFound, Transient, Unsupported
from gateway.events import CreateRoom, FindRoom, InviteToRoom, JoinRoom, LeaveRoom
from gateway.ids import RemoteRoomId
from gateway.text.wording import tr

_NO_ROOM = tr(
    "This is no address of a Matrix room. Such addresses look like "
    "#tea:example.org, or are links that begin with https://matrix.to/.",
)

_ASKED = tr(
    "Only who is let in comes into this group. You have asked for that now, "
    "and will be told when you are invited.",
)


class Coming:
    """Of one account."""

    def __init__(
        self, account: AccountContext, api: Callable[[], Api], *, encrypts: Callable[[], bool]
    ) -> None:
        self._account = account
        self._api = api
        self._encrypts = encrypts

    async def join(self, action: JoinRoom) -> RemoteRoomId:
        """An invitation is accepted by this, too."""
        link = _link(action.address)
        # The second name of the parameter is that of before spec 1.12.
        query = [(name, server) for server in link.via for name in ("via", "server_name")]
        try:
            answer = await self._api().post("join", link.name, query=query)
        except Forbidden as error:
            refused = _refused(error)
            if action.asks and not isinstance(refused, Banned):
                await self._knock(link, query)
            raise refused from error
        except NotFound as error:
            raise NotFound(tr("There is no such group. {text}", text=error.text)) from error
        return _room(answer)

    async def _knock(self, link: RoomLink, query: Sequence[tuple[str, str]]) -> None:
        """Ask to be let in, and raise `Knocked`; nothing where that cannot be asked for."""
        try:
            await self._api().post("knock", link.name, query=query)
        except (Forbidden, NotFound, Unsupported):
            return
        raise Knocked(_ASKED)

    async def find(self, action: FindRoom) -> RemoteRoomId:
        """By the server that the alias is of."""
        link = _link(action.address)
        if link.name.startswith("!"):
            return RemoteRoomId(link.name)
        try:
            return _room(await self._api().get("directory", "room", link.name))
        except NotFound as error:
            raise NotFound(tr("There is no such group. {text}", text=error.text)) from error

    async def create(self, action: CreateRoom) -> RemoteRoomId:
        """A private group is encrypted, as in other apps. The mark tells it from a chat that
        another app begins."""
        marker: dict[str, Any] = {"instance": self._account.instance}
        body: dict[str, Any] = {
            "name": action.name,
            "preset": "private_chat" if action.is_private else "public_chat",
            "invite": list(action.invited),
            "creation_content": {GROUP_MARKER: marker},
        }
        if action.topic:
            body["topic"] = action.topic
        if action.is_private and self._encrypts():
            body["initial_state"] = [ENCRYPTION]
            marker["encrypted"] = True
        return _room(await self._api().post("createRoom", body=body))

    async def leave(self, action: LeaveRoom) -> None:
        """An invitation is declined by this, too."""
        body = {"reason": action.reason} if action.reason else {}
        await self._api().post("rooms", action.room, "leave", body=body)

    async def invite(self, action: InviteToRoom) -> None:
        """Somebody else."""
        body: dict[str, str] = {"user_id": action.user}
        if action.reason:
            body["reason"] = action.reason
        await self._api().post("rooms", action.room, "invite", body=body)


def _refused(error: Forbidden) -> Forbidden:
    """There is no code for a ban: homeservers say it in words alone ("You are banned from this
    room", Synapse 1.163)."""
    if "banned" in error.text.casefold():
        return Banned(tr("You are banned from this group. {text}", text=error.text))
    return Forbidden(tr("You cannot come into this group. {text}", text=error.text))


def _link(address: str) -> RoomLink:
    link = parsed(address)
    if link is None:
        raise NotFound(_NO_ROOM)
    return link


def _room(answer: dict[str, Any]) -> RemoteRoomId:
    room_id = answer.get("room_id")
    if not is_room_id(room_id):
        raise Transient(tr("The homeserver did not say which room it is."))
    return RemoteRoomId(room_id)
