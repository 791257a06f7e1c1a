# SPDX-License-Identifier: Apache-2.0
"""What a stanza of a user wants, and what is made of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from gateway.events import Command, FailureReason, LinkPreview, Mention, SentFile, Through
from gateway.ids import StanzaId
from gateway.text import Span, within
from gateway.text.wording import tr

_MOST_FILES = 20
"""Of one message: what is sent for it stays one unit of work."""
NO_OTHER_FILE = tr(
    "A file cannot be put in the place of something else. Please take that back, and send the "
    "file anew.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming(ABC):
    """What a user wants, as read from a stanza."""

    id: StanzaId
    origin_id: StanzaId | None
    sender: str
    """Full JID, as it came."""
    receipt: bool = False
    """The sender asks for one."""
    through: Through | None = None
    """It was sent to an occupant."""
    hint: StanzaId | None = None
    """What the sender's own server calls it (XEP-0359), which nobody can verify."""

    @property
    @abstractmethod
    def content(self) -> str:
        """What tells it from other stanzas under the same id (REQ-911)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingText(Incoming):
    """A text, perhaps in place of another one or in answer to one."""

    body: str
    replaces: StanzaId | None = None
    reply_to: StanzaId | None = None
    thread: str = ""
    """To which it belongs, as the client says."""
    unquoted: str = ""
    """The text without what it quotes, if it is a reply."""
    spans: tuple[Span, ...] = ()
    """How parts of the whole body are meant."""
    files: tuple[SentFile, ...] = ()
    """Files that it shows."""
    stand_ins: tuple[str, ...] = ()
    """Parts of the body that are there for who cannot see them."""
    people: tuple[Mention, ...] = ()
    """Whom the client names in the whole body."""
    previews: tuple[LinkPreview, ...] = ()
    """Of links, as the client says."""
    attention: bool = False
    """It asks for attention (XEP-0224); then the body may be empty."""

    @property
    def content(self) -> str:
        """With what it is about."""
        about: list[str] = [id for id in (self.replaces, self.reply_to) if id is not None]
        about += ["attention"] if self.attention else []
        return "\0".join([self.body, *about, *(file.url for file in self.files)])

    def caption(self, body: str) -> str:
        """What is said about the files, by the text or by a part of it."""
        for part in self.stand_ins:
            body = body.replace(part, "", 1)
        return body.strip()

    def spans_of(self, part: str) -> tuple[Span, ...]:
        """How parts of a part of the body are meant; what is cut off stands above it, if it can
        be."""
        begin = self.body.rfind(part) if part else -1
        return within(self.spans, begin, begin + len(part)) if begin >= 0 else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingReactions(Incoming):
    """All that the user reacts with to a message."""

    message: StanzaId
    emoji: tuple[str, ...]

    @property
    def content(self) -> str:
        """With what it is about."""
        return "\0".join(["reactions", self.message, *self.emoji])


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingRetraction(Incoming):
    """The user takes a message back."""

    message: StanzaId

    @property
    def content(self) -> str:
        """With what it is about."""
        return f"retract\0{self.message}"


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done for a stanza."""

    command: Command
    target: int | None = None
    """The message that it is about,"""
    is_edit: bool = False
    """and that the stanza's ids mean from now on."""
    about: int | None = None
    """In a chat, the message that it edits, reacts to or takes back."""


@dataclass(frozen=True, slots=True)
class Declined:
    """It is not done, and why."""

    reason: FailureReason
    text: str


def too_much(wanted: Incoming, limit: int) -> Declined | None:
    """Why something is more than one message may be, if it is. ``limit``: bytes of its text."""
    if len(wanted.content.encode("utf-8", "surrogatepass")) > limit:
        kilobytes = limit // 1000
        said = tr("Too long for the network: it takes {limit} kB of text.", limit=kilobytes)
        return Declined(FailureReason.TOO_LARGE, said)
    if isinstance(wanted, IncomingText) and len(wanted.files) > _MOST_FILES:
        said = tr("One message takes at most {most} files.", most=_MOST_FILES)
        return Declined(FailureReason.TOO_LARGE, said)
    return None
