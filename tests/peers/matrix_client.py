"""A Matrix client on the bare client-server API that remembers what it received."""

import asyncio
import io
import itertools
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import aiohttp

from .inbox import Inbox
from .process import PeerError

Section = Literal["timeline", "state", "invite", "leave", "ephemeral", "presence", "account_data"]


@dataclass(frozen=True)
class MatrixEvent:
    """One event out of a sync answer, with the room and the part of the answer it was in."""

    section: Section
    room_id: str
    raw: Mapping[str, Any]

    @property
    def type(self) -> str:
        """The event's type, as m.room.message."""
        return str(self.raw.get("type", ""))

    @property
    def sender(self) -> str:
        """The full user id, or an empty string."""
        return str(self.raw.get("sender", ""))

    @property
    def event_id(self) -> str:
        """The id, which only events of the timeline have."""
        return str(self.raw.get("event_id", ""))

    @property
    def content(self) -> Mapping[str, Any]:
        """The event's content."""
        content: Mapping[str, Any] = self.raw.get("content", {})
        return content

    @property
    def body(self) -> str | None:
        """The text of a message."""
        return self.content.get("body")


class MatrixClient:
    """One device of one user, syncing in the background inside its `async with` block."""

    def __init__(self, url: str, user: str, password: str, *, timeline_limit: int = 100) -> None:
        """Prepare to log in to the homeserver at `url`.

        `timeline_limit` is how many events of a room one sync answer has at most; what a burst
        pushes out of it is fetched separately.
        """
        self.url = url
        self.user = user
        self.user_id = ""
        self.token = ""
        self.inbox: Inbox[MatrixEvent] = Inbox(user)
        self._password = password
        self._http: aiohttp.ClientSession | None = None
        self._sync: asyncio.Task[None] | None = None
        self._since: str | None = None
        self._presence = "online"
        self._filter = json.dumps({"room": {"timeline": {"limit": timeline_limit}}})
        self._txn = (f"{uuid.uuid4()}.{count}" for count in itertools.count())

    async def connect(self) -> None:
        """Log in with the password and take the first sync; later ones run by themselves."""
        self._http = aiohttp.ClientSession()
        answer = await self.request(
            "POST",
            "login",
            {
                "type": "m.login.password",
                "identifier": {"type": "m.id.user", "user": self.user},
                "password": self._password,
            },
        )
        self.user_id = answer["user_id"]
        self.token = str(answer["access_token"])
        self._http.headers["Authorization"] = f"Bearer {self.token}"
        await self._sync_once(timeout=0)
        self._sync = asyncio.create_task(self._sync_loop())

    async def disconnect(self) -> None:
        """Stop syncing and forget the connection; the device stays logged in."""
        if self._sync is not None:
            self._sync.cancel()
            with suppress(asyncio.CancelledError):
                await self._sync
            self._sync = None
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.disconnect()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Call the API below `/_matrix/client/v3/`; PeerError with the answer unless it is 200."""
        if self._http is None:
            raise PeerError(f"{self.user} is not connected")
        url = f"{self.url}/_matrix/client/v3/{path}"
        if body is None and method != "GET":
            body = {}
        async with self._http.request(method, url, json=body, params=query) as answer:
            result: dict[str, Any] = await answer.json()
            if answer.status != 200:
                raise PeerError(f"{method} {path} was answered by {answer.status} {result}")
            return result

    # Rooms

    async def create_room(
        self,
        *,
        name: str | None = None,
        invite: list[str] | None = None,
        direct: bool = False,
        encrypted: bool = False,
    ) -> str:
        """Make a private room and return its id."""
        body: dict[str, Any] = {
            "preset": "trusted_private_chat" if direct else "private_chat",
            "is_direct": direct,
            "invite": invite or [],
        }
        if name is not None:
            body["name"] = name
        if encrypted:
            content = {"algorithm": "m.megolm.v1.aes-sha2"}
            body["initial_state"] = [
                {"type": "m.room.encryption", "state_key": "", "content": content}
            ]
        return str((await self.request("POST", "createRoom", body))["room_id"])

    async def create_direct(self, user_id: str, *, encrypted: bool = False) -> str:
        """Start a direct chat as clients do: a room, an invite, and a note in `m.direct`."""
        room_id = await self.create_room(invite=[user_id], direct=True, encrypted=encrypted)
        rooms = await self.direct_rooms()
        rooms.setdefault(user_id, []).append(room_id)
        await self.request("PUT", self._account_data("m.direct"), rooms)
        return room_id

    async def direct_rooms(self) -> dict[str, list[str]]:
        """The user's `m.direct` account data: room ids by user id."""
        try:
            return await self.request("GET", self._account_data("m.direct"))
        except PeerError as error:
            if "M_NOT_FOUND" in str(error):
                return {}
            raise

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite a user to a room."""
        await self.request("POST", f"rooms/{_q(room_id)}/invite", {"user_id": user_id})

    async def join(self, room_id: str) -> None:
        """Join a room, as when accepting an invite."""
        await self.request("POST", f"join/{_q(room_id)}")

    async def leave(self, room_id: str) -> None:
        """Leave a room or decline an invite."""
        await self.request("POST", f"rooms/{_q(room_id)}/leave")

    async def joined_members(self, room_id: str) -> set[str]:
        """The user ids of those who are in a room."""
        answer = await self.request("GET", f"rooms/{_q(room_id)}/joined_members")
        return set(answer["joined"])

    # Sending

    async def send_event(
        self, room_id: str, type: str, content: Mapping[str, Any], *, txn_id: str | None = None
    ) -> str:
        """Send an event and return its id; the same `txn_id` again makes no second event."""
        path = f"rooms/{_q(room_id)}/send/{_q(type)}/{_q(txn_id or next(self._txn))}"
        return str((await self.request("PUT", path, content))["event_id"])

    async def send_text(self, room_id: str, text: str, *, txn_id: str | None = None) -> str:
        """Send a text message and return the event's id."""
        content = {"msgtype": "m.text", "body": text}
        return await self.send_event(room_id, "m.room.message", content, txn_id=txn_id)

    async def edit(self, room_id: str, event_id: str, text: str) -> str:
        """Replace the text of an own message."""
        return await self.send_event(
            room_id,
            "m.room.message",
            {
                "msgtype": "m.text",
                "body": f"* {text}",
                "m.new_content": {"msgtype": "m.text", "body": text},
                "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
            },
        )

    async def reply(self, room_id: str, event_id: str, text: str) -> str:
        """Answer a message. Returns the id of the answer."""
        relation = {"m.in_reply_to": {"event_id": event_id}}
        content = {"msgtype": "m.text", "body": text, "m.relates_to": relation}
        return await self.send_event(room_id, "m.room.message", content)

    async def react(self, room_id: str, event_id: str, key: str) -> str:
        """React to a message with an emoji."""
        relation = {"rel_type": "m.annotation", "event_id": event_id, "key": key}
        return await self.send_event(room_id, "m.reaction", {"m.relates_to": relation})

    async def redact(self, room_id: str, event_id: str) -> str:
        """Take an event back."""
        path = f"rooms/{_q(room_id)}/redact/{_q(event_id)}/{_q(next(self._txn))}"
        return str((await self.request("PUT", path))["event_id"])

    async def typing(
        self, room_id: str, typing: bool = True, *, milliseconds: int = 30_000
    ) -> None:
        """Show or end the typing notice."""
        body = {"typing": typing, "timeout": milliseconds} if typing else {"typing": False}
        await self.request("PUT", f"rooms/{_q(room_id)}/typing/{_q(self.user_id)}", body)

    async def read(self, room_id: str, event_id: str) -> None:
        """Tell the room how far the user has read."""
        await self.request("POST", f"rooms/{_q(room_id)}/receipt/m.read/{_q(event_id)}")

    async def set_presence(self, presence: str, status: str | None = None) -> None:
        """Be online, unavailable or offline, with a status text."""
        self._presence = presence  # each sync says it anew
        body = {"presence": presence, "status_msg": status}
        await self.request("PUT", f"presence/{_q(self.user_id)}/status", body)

    async def set_displayname(self, name: str) -> None:
        """Change the name others see."""
        path = f"profile/{_q(self.user_id)}/displayname"
        await self.request("PUT", path, {"displayname": name})

    async def upload(self, data: bytes, content_type: str) -> str:
        """Store a file, and return its ``mxc:`` URI."""
        if self._http is None:
            raise PeerError(f"{self.user} is not connected")
        url, headers = f"{self.url}/_matrix/media/v3/upload", {"Content-Type": content_type}
        async with self._http.post(url, data=io.BytesIO(data), headers=headers) as answer:
            return str((await answer.json())["content_uri"])

    async def share(
        self, room_id: str, data: bytes, content: Mapping[str, Any], media_type: str
    ) -> str:
        """Upload a file, and send an event with it; returns the event's id."""
        uri = await self.upload(data, media_type)
        info = {"mimetype": media_type, "size": len(data), **content.get("info", {})}
        return await self.send_event(
            room_id, "m.room.message", {**content, "url": uri, "info": info}
        )

    async def download(self, uri: str) -> bytes:
        """What the homeserver has there, as it is."""
        if self._http is None:
            raise PeerError(f"{self.user} is not connected")
        path = uri.removeprefix("mxc://")
        async with self._http.get(f"{self.url}/_matrix/client/v1/media/download/{path}") as answer:
            if answer.status != 200:
                raise PeerError(f"{uri}: HTTP {answer.status}")
            return await answer.read()

    async def set_avatar(self, uri: str) -> None:
        """Change the picture others see; the empty one takes it away."""
        path = f"profile/{_q(self.user_id)}/avatar_url"
        await self.request("PUT", path, {"avatar_url": uri})

    async def set_room_avatar(self, room_id: str, uri: str) -> None:
        """Give a room a picture."""
        path = f"rooms/{_q(room_id)}/state/m.room.avatar/"
        await self.request("PUT", path, {"url": uri} if uri else {})

    # Waiting

    async def wait_for(
        self, wanted: Callable[[MatrixEvent], bool], *, timeout: float = 10, since: int = 0
    ) -> MatrixEvent:
        """The first received event that is wanted; `since` comes from `inbox.mark()`."""
        return await self.inbox.wait_for(wanted, timeout=timeout, since=since)

    async def wait_text(
        self, text: str, *, room_id: str | None = None, timeout: float = 10, since: int = 0
    ) -> MatrixEvent:
        """The first message with this text (in this room, if one is given)."""

        def message_with_text(event: MatrixEvent) -> bool:
            return (
                event.section == "timeline"
                and event.body == text
                and room_id in (None, event.room_id)
            )

        return await self.wait_for(message_with_text, timeout=timeout, since=since)

    async def wait_invite(self, *, sender: str | None = None, timeout: float = 10) -> str:
        """The room id of the first invite (by this user, if one is given)."""

        def invite(event: MatrixEvent) -> bool:
            return (
                event.section == "invite"
                and event.type == "m.room.member"
                and event.raw.get("state_key") == self.user_id
                and sender in (None, event.sender)
            )

        return (await self.wait_for(invite, timeout=timeout)).room_id

    async def wait_member(
        self, room_id: str, user_id: str, membership: str = "join", *, timeout: float = 10
    ) -> MatrixEvent:
        """The event by which a user joined (left, …) a room."""

        def member(event: MatrixEvent) -> bool:
            return (
                (event.type, event.room_id) == ("m.room.member", room_id)
                and event.raw.get("state_key") == user_id
                and event.content.get("membership") == membership
            )

        return await self.wait_for(member, timeout=timeout)

    async def wait_typing(
        self,
        room_id: str,
        user_id: str,
        *,
        typing: bool = True,
        timeout: float = 10,
        since: int = 0,
    ) -> MatrixEvent:
        """The notice that a user types (or has stopped)."""

        def typing_notice(event: MatrixEvent) -> bool:
            return (event.type, event.room_id) == ("m.typing", room_id) and (
                (user_id in event.content["user_ids"]) == typing
            )

        return await self.wait_for(typing_notice, timeout=timeout, since=since)

    async def wait_receipt(
        self, event_id: str, *, user_id: str | None = None, timeout: float = 10
    ) -> MatrixEvent:
        """The read receipt (of this user, if one is given) for an event."""

        def receipt(event: MatrixEvent) -> bool:
            if event.type != "m.receipt" or event_id not in event.content:
                return False
            return user_id is None or user_id in event.content[event_id].get("m.read", {})

        return await self.wait_for(receipt, timeout=timeout)

    async def wait_presence(
        self, user_id: str, presence: str, *, timeout: float = 10, since: int = 0
    ) -> MatrixEvent:
        """The notice that a user is online, unavailable or offline."""

        def presence_notice(event: MatrixEvent) -> bool:
            found = (event.type, event.sender, event.content.get("presence"))
            return found == ("m.presence", user_id, presence)

        return await self.wait_for(presence_notice, timeout=timeout, since=since)

    # Receiving

    async def _sync_loop(self) -> None:
        """Sync until cancelled; a server that is being restarted is waited for."""
        while True:
            try:
                await self._sync_once(timeout=30_000)
            except (aiohttp.ClientError, PeerError):
                await asyncio.sleep(0.1)

    async def _sync_once(self, *, timeout: int) -> None:
        query = {
            "timeout": str(timeout),
            "filter": self._filter,
            "set_presence": self._presence,
        }
        if self._since is not None:
            query["since"] = self._since
        answer = await self.request("GET", "sync", query=query)
        rooms = answer.get("rooms", {})
        for event in answer.get("presence", {}).get("events", ()):
            self.inbox.add(MatrixEvent("presence", "", event))
        for event in answer.get("account_data", {}).get("events", ()):
            self.inbox.add(MatrixEvent("account_data", "", event))
        for room_id, room in rooms.get("invite", {}).items():
            self._add("invite", room_id, room["invite_state"])
        for room_id, room in rooms.get("join", {}).items():
            self._add("state", room_id, room.get("state", {}))
            await self._add_timeline(room_id, room.get("timeline", {}))
            self._add("ephemeral", room_id, room.get("ephemeral", {}))
            self._add("account_data", room_id, room.get("account_data", {}))
        for room_id, room in rooms.get("leave", {}).items():
            self._add("leave", room_id, room.get("timeline", {}))
        self._since = answer["next_batch"]

    def _add(self, section: Section, room_id: str, part: Mapping[str, Any]) -> None:
        for event in part.get("events", ()):
            self.inbox.add(MatrixEvent(section, room_id, event))

    async def _add_timeline(self, room_id: str, timeline: Mapping[str, Any]) -> None:
        """Add a room's new events, and before them those that a long burst pushed out."""
        if timeline.get("limited") and self._since is not None:
            missed: list[dict[str, Any]] = []
            start: str | None = timeline["prev_batch"]
            while start:
                page = await self.request(
                    "GET",
                    f"rooms/{_q(room_id)}/messages",
                    query={"dir": "b", "from": start, "to": self._since, "limit": "500"},
                )
                missed += page["chunk"]
                start = page.get("end") if page["chunk"] else None
            self._add("timeline", room_id, {"events": missed[::-1]})
        self._add("timeline", room_id, timeline)

    def _account_data(self, type: str) -> str:
        return f"user/{_q(self.user_id)}/account_data/{_q(type)}"


def _q(part: str) -> str:
    """Quote a part of a path; aiohttp leaves what is quoted as it is."""
    return quote(part, safe="")
