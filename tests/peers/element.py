"""A Matrix client that encrypts by code which is neither ours nor that of our library.

It is matrix-js-sdk, on which Element Web stands, with its crypto (Rust, compiled to WASM), in a
Node process that takes and gives lines of JSON: `element_js/`.
"""

import asyncio
import base64
import itertools
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from .inbox import Inbox
from .process import PeerError, Process
from .verification import Step, Verification, VerificationState

_PROGRAM = Path(__file__).with_name("element_js") / "main.mjs"
_MEGOLM = {"algorithm": "m.megolm.v1.aes-sha2"}
_LONGEST_LINE = 2**24


@dataclass(frozen=True)
class ElementEvent:
    """One event as the client sees it, after decryption or after it failed.

    An event of which more becomes known, as when its key comes late, is received once more.
    """

    room_id: str
    event_id: str
    sender: str
    state_key: str | None
    type: str
    content: Mapping[str, Any]
    wire_type: str
    failure: str | None
    """Why it could not be decrypted, as MEGOLM_KEY_WITHHELD_FOR_UNVERIFIED_DEVICE."""
    failure_text: str | None
    """The same in words; those of `m.room_key.withheld`, if the sender sent that."""
    shield: str | None
    """What the user is warned by: none, grey or red; None for what was not decrypted."""
    shield_reason: str | None
    """Why there is a shield, as unsigned_device or mismatched_sender_key."""

    @property
    def body(self) -> str | None:
        """The text of a message."""
        return self.content.get("body")

    @property
    def decrypted(self) -> bool:
        """Whether it was encrypted and could be read."""
        return self.wire_type == "m.room.encrypted" and self.failure is None


@dataclass(frozen=True)
class ElementDevice:
    """A device of somebody, and what this client thinks of it."""

    device_id: str
    name: str
    keys: Mapping[str, str]
    verified: bool
    """Trusted, for one of the two reasons below (or because it is this client itself)."""
    signed_by_owner: bool
    """Whether its owner has signed it; that alone is no reason to trust it."""
    cross_signing_verified: bool
    locally_verified: bool


class Element:
    """One device of one user, syncing in the background inside its `async with` block.

    Without `keep` the keys are in memory, and who connects again is a new device. With it they
    are written into `directory` when the client disconnects, and the next one on that directory
    is the same device; one that was killed has what it had when it last disconnected. What a
    burst of more than 100 events in a room pushes out of a sync answer is not fetched.
    """

    def __init__(
        self, url: str, user: str, password: str, *, directory: Path, keep: bool = False
    ) -> None:
        """Prepare to log in to the homeserver at `url`; the log is written into `directory`."""
        self.url = url
        self.user = user
        self.user_id = ""
        self.device_id = ""
        self.keys: Mapping[str, str] = {}
        self.inbox: Inbox[ElementEvent] = Inbox(user)
        self._verifications: Inbox[VerificationState] = Inbox(user)
        self._password = password
        self.log = directory / f"{user}.log"
        self._store = directory / f"{user}.store" if keep else None
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._trust_changed = asyncio.Event()

    async def connect(self) -> None:
        """Start the program, log in (or be the device that was kept) and take the first sync."""
        ours, theirs = socket.socketpair()
        with theirs:
            modules = Path(sys.prefix) / "element" / "node_modules"
            env = {"ELEMENT_MODULES": str(modules), "NODE_OPTIONS": "", "NO_COLOR": "1"}
            argv: list[str | Path] = [_node(modules), _PROGRAM]
            self._process = Process(argv, log=self.log, env=env, stdin=theirs.fileno())
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        self._reading = asyncio.create_task(self._read(reader))
        session = await self._ask(
            "start",
            url=self.url,
            user=self.user,
            password=self._password,
            store=self._store and str(self._store),
        )
        self.user_id = session["user_id"]
        self.device_id = session["device_id"]
        self.keys = {name: session[name] for name in ("curve25519", "ed25519")}

    async def disconnect(self) -> None:
        """End the program, keeping the keys if asked to; the device stays logged in."""
        if self._process is None:
            return
        try:
            if self._process.running:
                await self._ask("stop")
        finally:
            if self._writer is not None:
                self._writer.close()
                with suppress(ConnectionError):
                    await self._writer.wait_closed()
            await self._process.stop(grace=2)
            if self._reading is not None:
                await self._reading
            self._process = self._writer = self._reading = None

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

    @property
    def process(self) -> Process:
        """The running program, to be frozen or killed."""
        if self._process is None:
            raise PeerError(f"{self.user} is not connected")
        return self._process

    async def log_out(self) -> None:
        """End the session at the homeserver, which forgets the device and its keys."""
        await self._ask("log_out")
        if self._store is not None:
            self._store.unlink(missing_ok=True)

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Call the API below `/_matrix/client/v3/`; nothing is encrypted or decrypted."""
        answer: dict[str, Any] = await self._ask(
            "request", method=method, path=path, body=body, query=query
        )
        return answer

    # Rooms

    async def create_room(
        self, *, invite: list[str] | None = None, direct: bool = False, encrypted: bool = True
    ) -> str:
        """Make a private room and return its id, once this client knows all of that.

        Before, it would send in clear, or no keys to who is invited.
        """
        body: dict[str, Any] = {
            "preset": "trusted_private_chat" if direct else "private_chat",
            "is_direct": direct,
            "invite": invite or [],
        }
        if encrypted:
            body["initial_state"] = [
                {"type": "m.room.encryption", "state_key": "", "content": _MEGOLM}
            ]
        room_id = str((await self.request("POST", "createRoom", body))["room_id"])
        for user_id in (self.user_id, *body["invite"]):
            await self.wait_for(_is_in(room_id, user_id))
        if encrypted:
            await self.wait_for(
                lambda event: (event.type, event.room_id) == ("m.room.encryption", room_id)
            )
        return room_id

    async def create_direct(self, user_id: str, *, encrypted: bool = True) -> str:
        """Start a direct chat as clients do: a room, an invite, and a note in `m.direct`."""
        room_id = await self.create_room(invite=[user_id], direct=True, encrypted=encrypted)
        path = f"user/{_q(self.user_id)}/account_data/m.direct"
        try:
            rooms = await self.request("GET", path)
        except PeerError as error:
            if "M_NOT_FOUND" not in str(error):
                raise
            rooms = {}
        rooms.setdefault(user_id, []).append(room_id)
        await self.request("PUT", path, rooms)
        return room_id

    async def invite(self, room_id: str, user_id: str) -> None:
        """Invite a user to a room."""
        await self.request("POST", f"rooms/{_q(room_id)}/invite", {"user_id": user_id})

    async def join(self, room_id: str) -> None:
        """Join a room, as when accepting an invite; returns when this client has its state."""
        await self.request("POST", f"join/{_q(room_id)}", {})
        await self.wait_member(room_id, self.user_id)

    async def leave(self, room_id: str) -> None:
        """Leave a room or decline an invite."""
        await self.request("POST", f"rooms/{_q(room_id)}/leave", {})

    # Sending

    async def send_event(self, room_id: str, type: str, content: Mapping[str, Any]) -> str:
        """Send an event, encrypted in an encrypted room (reactions never are); its id."""
        return str(await self._ask("send", room_id=room_id, type=type, content=content))

    async def send_text(self, room_id: str, text: str) -> str:
        """Send a text message and return the event's id."""
        return await self.send_event(
            room_id, "m.room.message", {"msgtype": "m.text", "body": text}
        )

    async def share(
        self,
        room_id: str,
        data: bytes,
        content: Mapping[str, Any],
        media_type: str,
        *,
        encrypted: bool = True,
    ) -> str:
        """Upload a file, encrypted as for encrypted rooms or not, and send an event with it."""
        coded = base64.b64encode(data).decode()
        place = await self._ask("upload", data=coded, type=media_type, encrypted=encrypted)
        info = {"mimetype": media_type, "size": len(data), **content.get("info", {})}
        return await self.send_event(room_id, "m.room.message", {**content, **place, "info": info})

    async def reply(self, room_id: str, event_id: str, text: str) -> str:
        """Answer a message."""
        return await self.send_event(
            room_id,
            "m.room.message",
            {
                "msgtype": "m.text",
                "body": text,
                "m.relates_to": {"m.in_reply_to": {"event_id": event_id}},
            },
        )

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

    async def react(
        self, room_id: str, event_id: str, key: str, *, encrypted: bool = False
    ) -> str:
        """React to a message: in clear, as Element does in every room, or encrypted."""
        content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event_id, "key": key}}
        if not encrypted:
            return await self.send_event(room_id, "m.reaction", content)
        return await self.send_raw(room_id, await self.encrypt(room_id, "m.reaction", content))

    async def redact(self, room_id: str, event_id: str) -> str:
        """Take an event back."""
        path = f"rooms/{_q(room_id)}/redact/{_q(event_id)}/{self._txn()}"
        return str((await self.request("PUT", path, {}))["event_id"])

    async def encrypt(self, room_id: str, type: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """What `send_event` would have sent: the keys go out, the event does not."""
        made: dict[str, Any] = await self._ask(
            "encrypt", room_id=room_id, type=type, content=content
        )
        return made

    async def send_raw(
        self, room_id: str, content: Mapping[str, Any], type: str = "m.room.encrypted"
    ) -> str:
        """Send an event as it is, such as one of `encrypt` with something wrong in it; its id."""
        path = f"rooms/{_q(room_id)}/send/{_q(type)}/{self._txn()}"
        return str((await self.request("PUT", path, content))["event_id"])

    async def raw_event(self, room_id: str, event_id: str) -> dict[str, Any]:
        """The event as the homeserver has it."""
        return await self.request("GET", f"rooms/{_q(room_id)}/event/{_q(event_id)}")

    # Keys

    async def rotate(self, room_id: str) -> None:
        """Use a new Megolm session from the next message to the room on."""
        await self._ask("rotate", room_id=room_id)

    async def send_to_verified_only(self, on: bool = True) -> None:
        """Withhold the keys of new messages from devices that are not verified, or no longer."""
        await self._ask("only_verified", on=on)

    async def ask_for_keys(self, on: bool = True) -> None:
        """Ask own devices for keys that are missing. Element does not, so this is off at first.

        Own verified devices answer such requests, whether this is on or off.
        """
        await self._ask("ask_for_keys", on=on)

    async def one_time_keys(self) -> int:
        """How many one-time keys of this device the homeserver has left."""
        answer = await self.request("POST", "keys/upload", {})
        return int(answer["one_time_key_counts"].get("signed_curve25519", 0))

    async def set_up(self, *, backup: bool = True) -> str:
        """Make new cross-signing keys, secret storage and key backup; the recovery key."""
        return str(await self._ask("set_up", backup=backup))

    async def recover(self, recovery_key: str) -> int:
        """Get cross-signing keys out of secret storage and message keys out of the backup.

        Returns how many message keys that were. The device is signed by its owner from then on.
        """
        return int(await self._ask("recover", recovery_key=recovery_key))

    async def back_up(self) -> None:
        """Wait until every message key of this device is in the backup."""
        await self._ask("back_up")

    async def retry(self, event_id: str) -> None:
        """Try once more to decrypt an event, as clients do that are shown it again."""
        await self._ask("retry", event_id=event_id)

    # Trust

    async def devices(self, user_id: str) -> dict[str, ElementDevice]:
        """The devices of a user that can encrypt, by id, as far as this client knows now."""
        found = await self._ask("devices", user_id=user_id)
        return {each["device_id"]: ElementDevice(**each) for each in found}

    async def wait_devices(
        self,
        user_id: str,
        wanted: Callable[[Mapping[str, ElementDevice]], bool],
        *,
        timeout: float = 10,
    ) -> dict[str, ElementDevice]:
        """The devices of a user once they are as wanted; news of them come by sync."""
        found: dict[str, ElementDevice] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while True:
                    changed = self._trust_changed
                    found = await self.devices(user_id)
                    if wanted(found):
                        return found
                    await changed.wait()
        raise AssertionError(
            f"{self.user} waited {timeout} s in vain for {wanted.__qualname__}; has {found}"
        )

    async def user_verified(self, user_id: str) -> bool:
        """Whether the user's identity, by which they sign their devices, has been verified."""
        return bool(await self._ask("user_verified", user_id=user_id))

    async def verify(self, user_id: str, device_id: str) -> Verification:
        """Ask a device to be verified."""
        return self._verification(await self._ask("verify", user_id=user_id, device_id=device_id))

    async def verify_in_room(self, user_id: str, room_id: str) -> Verification:
        """Ask a user who has signed their devices, by a message in a room, as Element does."""
        return self._verification(await self._ask("verify", user_id=user_id, room_id=room_id))

    async def wait_verification(
        self, *, sender: str | None = None, timeout: float = 10, since: int = 0
    ) -> Verification:
        """The first request to be verified (by this user, if one is given).

        `since` is the number of the last verification that is not meant.
        """

        def request(state: VerificationState) -> bool:
            return not state.by_me and state.number > since and sender in (None, state.user_id)

        state = await self._verifications.wait_for(request, timeout=timeout)
        return self._verification(state.number)

    def _verification(self, number: int) -> Verification:
        async def step(step: Step) -> None:
            await self._ask("verification", number=number, step=step)

        return Verification(number, self._verifications, step)

    # Waiting

    async def wait_for(
        self, wanted: Callable[[ElementEvent], bool], *, timeout: float = 10, since: int = 0
    ) -> ElementEvent:
        """The first received event that is wanted; `since` comes from `inbox.mark()`."""
        return await self.inbox.wait_for(wanted, timeout=timeout, since=since)

    async def wait_text(
        self, text: str, *, room_id: str | None = None, timeout: float = 10, since: int = 0
    ) -> ElementEvent:
        """The first message with this text (in this room, if one is given), encrypted or not."""

        def message_with_text(event: ElementEvent) -> bool:
            return (
                event.type == "m.room.message"
                and event.body == text
                and room_id in (None, event.room_id)
            )

        return await self.wait_for(message_with_text, timeout=timeout, since=since)

    async def wait_event(
        self, event_id: str, *, timeout: float = 10, since: int = 0
    ) -> ElementEvent:
        """What an event was when it came first, decrypted or not."""

        def event_with_id(event: ElementEvent) -> bool:
            return event.event_id == event_id

        return await self.wait_for(event_with_id, timeout=timeout, since=since)

    async def wait_undecryptable(self, event_id: str, *, timeout: float = 10) -> ElementEvent:
        """An event that could not be decrypted, with the reason."""

        def undecryptable(event: ElementEvent) -> bool:
            return event.event_id == event_id and event.failure is not None

        return await self.wait_for(undecryptable, timeout=timeout)

    async def wait_decrypted(self, event_id: str, *, timeout: float = 10) -> ElementEvent:
        """An event as it was decrypted, be it at a later try."""

        def decrypted(event: ElementEvent) -> bool:
            return event.event_id == event_id and event.decrypted

        return await self.wait_for(decrypted, timeout=timeout)

    async def wait_invite(self, *, sender: str | None = None, timeout: float = 10) -> str:
        """The room id of the first invite (by this user, if one is given)."""

        def invite(event: ElementEvent) -> bool:
            return (
                (event.type, event.state_key) == ("m.room.member", self.user_id)
                and event.content.get("membership") == "invite"
                and sender in (None, event.sender)
            )

        return (await self.wait_for(invite, timeout=timeout)).room_id

    async def wait_member(
        self, room_id: str, user_id: str, membership: str = "join", *, timeout: float = 10
    ) -> ElementEvent:
        """The event by which a user joined (left, …) a room."""

        def member(event: ElementEvent) -> bool:
            return (
                (event.type, event.room_id) == ("m.room.member", room_id)
                and event.state_key == user_id
                and event.content.get("membership") == membership
            )

        return await self.wait_for(member, timeout=timeout)

    # The program

    async def _ask(self, name: str, *, timeout: float = 20, **wishes: Any) -> Any:
        if self._writer is None or self._reading is None or self._reading.done():
            raise PeerError(f"{self.user} is not connected{self._last_words()}")
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "do": name, "with": wishes})
        self._writer.write(line.encode() + b"\n")
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            problem = f"{self.user} did not {name} in {timeout} s{self._last_words()}"
            raise PeerError(problem) from None
        finally:
            del self._answers[number]

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Take what the program says, until it ends."""
        with suppress(ConnectionError):
            async for line in reader:
                self._hear(json.loads(line))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(PeerError(f"{self.user} has ended{self._last_words()}"))

    def _hear(self, said: Mapping[str, Any]) -> None:
        if "event" in said:
            self.inbox.add(ElementEvent(**said["event"]))
        elif "trust" in said:
            self._trust_changed.set()
            self._trust_changed = asyncio.Event()
        elif "verification" in said:
            self._verifications.add(VerificationState.read(said["verification"]))
        else:
            answer = self._answers.get(said["id"])
            if answer is None or answer.done():
                return  # nobody waits for it any longer
            if "error" in said:
                answer.set_exception(PeerError(f"{self.user}: {said['error']}"))
            else:
                answer.set_result(said["result"])

    def _last_words(self) -> str:
        if self._process is None:
            return ""
        return f"; the end of {self.log}:\n{self._process.log_tail()}"

    def _txn(self) -> str:
        return f"raw.{os.urandom(8).hex()}"


def _is_in(room_id: str, user_id: str) -> Callable[[ElementEvent], bool]:
    """The event by which somebody is invited, or has joined meanwhile."""

    def is_in(event: ElementEvent) -> bool:
        member = (event.type, event.room_id, event.state_key)
        return member == ("m.room.member", room_id, user_id) and (
            event.content.get("membership") in ("invite", "join")
        )

    return is_in


def _node(modules: Path) -> str:
    node = shutil.which("node")
    if node is None or not modules.exists():
        raise PeerError("there is no matrix-js-sdk; scripts/bootstrap peers installs it")
    return node


def _q(part: str) -> str:
    return quote(part, safe="")
