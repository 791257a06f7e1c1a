# SPDX-License-Identifier: Apache-2.0
"""What each user may set for an account of theirs.

`Settings` is the one place: a form, a list of commands or a page is made from `FIELDS`, and stored
records of earlier versions are read with the defaults for what they lack. Fields are only ever
added, and the values of an enumeration too.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from gateway.errors import SettingRefused
from gateway.store.archive import Level
from gateway.text.wording import tr


class Publish(enum.StrEnum):
    """What the network is told of the user's presence (REQ-317)."""

    MIRROR = "mirror"
    ONLINE = "online"
    NEVER = "never"


class RoomLines(enum.StrEnum):
    """What of what happens in groups is said there by the room itself (REQ-577)."""

    ALL = "all"
    IMPORTANT = "important"
    NONE = "none"

    @property
    def level(self) -> Level:
        """Nothing that is less important is told."""
        return _LEVELS[self]


_LEVELS = {
    RoomLines.ALL: Level.OTHER,
    RoomLines.IMPORTANT: Level.IMPORTANT,
    RoomLines.NONE: Level.SAID,
}


def _about(title: str, description: str) -> msgspec.Meta:
    """How a person is asked for a setting."""
    return msgspec.Meta(extra={"title": title, "description": description})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one account. The defaults are those of somebody who has set nothing."""

    follow_presence: Annotated[
        bool,
        _about(
            title=tr("Connect only while I am online"),
            description=(
                tr(
                    "The gateway logs in to the network when your first client "
                    "comes online, and out when your last one leaves. Messages "
                    "that come meanwhile are fetched later, if the network keeps "
                    "them. The gateway must be one of your contacts for that. "
                    "Otherwise you stay connected all the time.",
                )
            ),
        ),
    ] = False
    publish_presence: Annotated[
        Publish,
        _about(
            title=tr("Show on the network whether I am online"),
            description=(
                tr(
                    "What people on the network see of your presence, where the "
                    "network has such a thing.",
                )
            ),
        ),
    ] = Publish.MIRROR
    send_read_marks: Annotated[
        bool,
        _about(
            title=tr("Tell people when I have read their messages"),
            description=tr("Read marks of your clients are passed on to the network."),
        ),
    ] = True
    send_typing: Annotated[
        bool,
        _about(
            title=tr("Tell people when I am typing"),
            description=tr("Typing notices of your clients are passed on to the network."),
        ),
    ] = True
    show_read_marks: Annotated[
        bool,
        _about(
            title=tr("Show me what people have read of my messages"),
            description=tr("In chats, where the network tells."),
        ),
    ] = True
    quotes_are_replies: Annotated[
        bool,
        _about(
            title=tr("Send quotes as replies"),
            description=(
                tr(
                    "When you quote a message above your words, as clients do "
                    "that know no replies, it becomes a reply to that message, "
                    "if it is clear which one is meant.",
                )
            ),
        ),
    ] = True
    edits_as_texts: Annotated[
        bool,
        _about(
            title=tr("Send corrections as new messages where they cannot be made"),
            description=(
                tr(
                    "When you correct a message of a chat and the network cannot "
                    "change it any more, the new text is sent with “✏” before "
                    "it. Otherwise your client is told that it has failed.",
                )
            ),
        ),
    ] = True
    honour_retractions: Annotated[
        bool,
        _about(
            title=tr("Let people take back what they have written to me"),
            description=(
                tr(
                    "When somebody takes a message back, it goes from your chat "
                    "with them. Otherwise it stays, and you are told.",
                )
            ),
        ),
    ] = True
    room_lines: Annotated[
        RoomLines,
        _about(
            title=tr("Lines about what happens in groups"),
            description=(
                tr(
                    "Groups say in a line of their own when they have another "
                    "name, when a message is pinned, and the like. What is "
                    "missing there is always said.",
                )
            ),
        ),
    ] = RoomLines.IMPORTANT
    add_contacts: Annotated[
        bool,
        _about(
            title=tr("Put people I talk with into my contact list"),
            description=(
                tr(
                    "Where your server lets the gateway write there, they have a "
                    "name and a group, and what you change or remove stays so. "
                    "Elsewhere each of them asks once to be added.",
                )
            ),
        ),
    ] = True
    send_in_my_name: Annotated[
        bool,
        _about(
            title=tr("Show what I write in other apps as mine"),
            description=(
                tr(
                    "The gateway sends it in your name, where your server lets "
                    "it. Otherwise it begins with “You:”, or is not shown.",
                )
            ),
        ),
    ] = True
    show_as_you: Annotated[
        bool,
        _about(
            title=tr("Show it with “You:” where it is not shown as mine"),
            description=(
                tr(
                    "What you write in other apps comes from the contact then, and "
                    "so does what you change or take back of it; what you react "
                    "with is not shown. Otherwise you see nothing of it here.",
                )
            ),
        ),
    ] = True
    use_bookmarks: Annotated[
        bool,
        _about(
            title=tr("Bookmark my groups"),
            description=(
                tr(
                    "Your clients join new groups by themselves, and know what "
                    "you have read of them in other apps, where your server lets "
                    "the gateway tell them.",
                )
            ),
        ),
    ] = True
    upload_in_my_name: Annotated[
        bool,
        _about(
            title=tr("Keep what people send me among my uploads"),
            description=(
                tr(
                    "Files from the network are put onto your server as if you "
                    "had uploaded them, where it lets the gateway do that and the "
                    "admin wants it. They count towards your own quota there.",
                )
            ),
        ),
    ] = True
    publish_name: Annotated[
        bool,
        _about(
            title=tr("Show my XMPP name on the network"),
            description=(
                tr(
                    "People on the network see the nickname that you have on "
                    "XMPP, and see it change when you change it, where the "
                    "network lets the gateway set it.",
                )
            ),
        ),
    ] = False
    publish_picture: Annotated[
        bool,
        _about(
            title=tr("Show my XMPP picture on the network"),
            description=tr("The same with your picture."),
        ),
    ] = False


_CHOICES: Mapping[enum.Enum, str] = {
    Publish.MIRROR: tr("What my clients show"),
    Publish.ONLINE: tr("Online while I am connected"),
    Publish.NEVER: tr("Never online"),
    RoomLines.ALL: tr("All"),
    RoomLines.IMPORTANT: tr("What is important"),
    RoomLines.NONE: tr("None"),
}


_GROUPS: Mapping[str, tuple[str, ...]] = {
    tr("What people on the network see of me"): (
        "publish_presence",
        "send_read_marks",
        "send_typing",
        "publish_name",
        "publish_picture",
    ),
    tr("What I see"): (
        "show_read_marks",
        "honour_retractions",
        "room_lines",
        "send_in_my_name",
        "show_as_you",
    ),
    tr("What I write"): ("quotes_are_replies", "edits_as_texts"),
    tr("My contacts, groups and connection"): (
        "add_contacts",
        "use_bookmarks",
        "upload_in_my_name",
        "follow_presence",
    ),
}
"""In which order settings are shown, and under which headings. Others follow under `_MORE`."""
_MORE = tr("More")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of several values of a setting."""

    value: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One setting, as a person may be asked for it."""

    name: str
    """Of the attribute of `Settings`, and of the form field."""
    label: str
    explanation: str
    group: str
    """The heading under which it stands; those of one follow each other."""
    choices: tuple[Choice, ...]
    """The allowed values; none for a switch."""

    @property
    def is_switch(self) -> bool:
        """The value is True or False; ``true``, ``false``, ``1`` and ``0`` are taken too."""
        return not self.choices


def _field(field: msgspec.structs.FieldInfo) -> Field:
    shown = msgspec.inspect.type_info(field.type)
    assert isinstance(shown, msgspec.inspect.Metadata)
    assert shown.extra is not None
    kind = shown.type
    choices = (
        tuple(Choice(value=value.value, label=_CHOICES[value]) for value in kind.cls)
        if isinstance(kind, msgspec.inspect.EnumType)
        else ()
    )
    return Field(
        name=field.name,
        label=shown.extra["title"],
        explanation=shown.extra["description"],
        group=next((group for group, names in _GROUPS.items() if field.name in names), _MORE),
        choices=choices,
    )


_ORDER = [name for names in _GROUPS.values() for name in names]
FIELDS: tuple[Field, ...] = tuple(
    sorted(
        map(_field, msgspec.structs.fields(Settings)),
        key=lambda field: _ORDER.index(field.name) if field.name in _ORDER else len(_ORDER),
    )
)
"""Every setting, in the order in which to ask for them."""


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with some of them changed; values as in `Settings`, or as text from a form.

    Raises `SettingRefused` for an unknown name or a value that is not allowed.
    """
    labels = {field.name: field.label for field in FIELDS}
    for name, value in changes.items():
        if name not in labels:
            raise SettingRefused(tr("There is no setting “{name}”.", name=name))
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError:
            raise SettingRefused(
                tr("“{value}” is not possible for “{labels}”.", value=value, labels=labels[name])
            ) from None
    return msgspec.convert({**msgspec.structs.asdict(settings), **changes}, Settings, strict=False)


def encoded(settings: Settings) -> str:
    """For the store. What has its default today is written too: the user has seen it so."""
    return msgspec.json.encode(settings).decode()


def decoded(stored: str) -> Settings:
    """From the store; what is not there has its default.

    Raises `SettingRefused` if it cannot be read, which only a damaged database causes.
    """
    if not stored:
        return Settings()
    try:
        return msgspec.json.decode(stored, type=Settings)
    except msgspec.MsgspecError as error:
        raise SettingRefused(tr("The stored settings cannot be read.")) from error


def usable(stored: str) -> Settings:
    """The same, with the defaults where it cannot be read."""
    try:
        return decoded(stored)
    except SettingRefused:
        return Settings()
