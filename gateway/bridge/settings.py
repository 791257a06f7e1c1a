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


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one account. The defaults are those of somebody who has set nothing."""

    follow_presence: Annotated[
        bool,
        msgspec.Meta(
            title="Connect only while I am online",
            description=(
                "The gateway logs in to the network when your first client comes online, and out "
                "when your last one leaves. Messages that come meanwhile are fetched later, if "
                "the network keeps them. The gateway must be one of your contacts for that. "
                "Otherwise you stay connected all the time."
            ),
        ),
    ] = False
    publish_presence: Annotated[
        Publish,
        msgspec.Meta(
            title="Show on the network whether I am online",
            description=(
                "What people on the network see of your presence, where the network has such a "
                "thing."
            ),
        ),
    ] = Publish.MIRROR
    send_read_marks: Annotated[
        bool,
        msgspec.Meta(
            title="Tell people when I have read their messages",
            description="Read marks of your clients are passed on to the network.",
        ),
    ] = True
    send_typing: Annotated[
        bool,
        msgspec.Meta(
            title="Tell people when I am typing",
            description="Typing notices of your clients are passed on to the network.",
        ),
    ] = True
    quotes_are_replies: Annotated[
        bool,
        msgspec.Meta(
            title="Send quotes as replies",
            description=(
                "When you quote a message of a group above your words, as clients do that know no "
                "replies, it becomes a reply to that message, if it is clear which one is meant."
            ),
        ),
    ] = True
    room_lines: Annotated[
        RoomLines,
        msgspec.Meta(
            title="Lines about what happens in groups",
            description=(
                "Groups say in a line of their own when they have another name, when a message is "
                "pinned, and the like. What is missing there is always said."
            ),
        ),
    ] = RoomLines.IMPORTANT


_CHOICES: Mapping[enum.Enum, str] = {
    Publish.MIRROR: "What my clients show",
    Publish.ONLINE: "Online while I am connected",
    Publish.NEVER: "Never online",
    RoomLines.ALL: "All",
    RoomLines.IMPORTANT: "What is important",
    RoomLines.NONE: "None",
}


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
    choices: tuple[Choice, ...]
    """The allowed values; none for a switch."""

    @property
    def is_switch(self) -> bool:
        """The value is True or False; ``true``, ``false``, ``1`` and ``0`` are taken too."""
        return not self.choices


def _field(field: msgspec.structs.FieldInfo) -> Field:
    shown = msgspec.inspect.type_info(field.type)
    assert isinstance(shown, msgspec.inspect.Metadata)
    assert shown.extra_json_schema is not None
    kind = shown.type
    choices = (
        tuple(Choice(value=value.value, label=_CHOICES[value]) for value in kind.cls)
        if isinstance(kind, msgspec.inspect.EnumType)
        else ()
    )
    return Field(
        name=field.name,
        label=shown.extra_json_schema["title"],
        explanation=shown.extra_json_schema["description"],
        choices=choices,
    )


FIELDS: tuple[Field, ...] = tuple(map(_field, msgspec.structs.fields(Settings)))
"""Every setting, in the order in which to ask for them."""


def changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """The settings with some of them changed; values as in `Settings`, or as text from a form.

    Raises `SettingRefused` for an unknown name or a value that is not allowed.
    """
    labels = {field.name: field.label for field in FIELDS}
    for name, value in changes.items():
        if name not in labels:
            raise SettingRefused(f"There is no setting “{name}”.")
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError:
            raise SettingRefused(f"“{value}” is not possible for “{labels[name]}”.") from None
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
        raise SettingRefused("The stored settings cannot be read.") from error


def usable(stored: str) -> Settings:
    """The same, with the defaults where it cannot be read."""
    try:
        return decoded(stored)
    except SettingRefused:
        return Settings()
