# SPDX-License-Identifier: Apache-2.0
"""What somebody may do in a group, as Telegram says it and as the gateway does. No I/O.

Bot API, "ChatMemberAdministrator", "ChatMemberRestricted", "ChatPermissions". Rights are shown as
they work (REQ-525): who administers a group and may neither put people out nor delete what they
say is no admin to clients, which would offer just that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from telegram import ChatMember, ChatPermissions

from gateway.events import Affiliation, RoomRight

_RULES: Final = frozenset({"can_restrict_members", "can_delete_messages"})
_DECIDES: Final = _RULES | {"can_promote_members", "can_change_info"}
_GIVEN: Final = (
    "can_manage_chat",
    "can_delete_messages",
    "can_restrict_members",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_video_chats",
    "can_manage_topics",
)
"""To who is made an admin: what an admin of a room may do, and what goes with it in apps. Not the
right to make others, which is an owner's."""
_SPEECH: Final = (
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_react_to_messages",
)


def rights_in(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Those of an administrator, from a ChatMember; none of anybody else. They may be more than
    this gateway knows."""
    if about.get("status") != ChatMember.ADMINISTRATOR:
        return ()
    found = (name for name, value in about.items() if name.startswith("can_") and value is True)
    return tuple(sorted(name for name in found if name != "can_be_edited"))


def affiliation_of(rights: Iterable[str]) -> Affiliation:
    """What a bot with these rights is to its user. Only owners make admins, and name the room, in
    XMPP; so that is what it is if it may do both."""
    held = frozenset(rights)
    if held >= _DECIDES:
        return Affiliation.OWNER
    return Affiliation.ADMIN if held >= _RULES else Affiliation.MEMBER


def room_rights(rights: Iterable[str]) -> tuple[RoomRight, ...]:
    """What its affiliation does not say. Bots can invite nobody: they can only make links."""
    return (RoomRight.TOPIC,) if "can_change_info" in rights else ()


def given_by(rights: Iterable[str]) -> dict[str, Any]:
    """What a bot can give to somebody: of what an admin needs, that which it has."""
    held = frozenset(rights)
    return {name: True for name in _GIVEN if name in held}


def to_speak(*, may_speak: bool) -> ChatPermissions:
    """Of who may speak, or may not. All permissions together restrict nothing any more; what all
    may do in the group still holds."""
    names = ChatPermissions.all_permissions().to_dict()
    allowed: dict[str, Any] = {name: may_speak or name not in _SPEECH for name in names}
    return ChatPermissions(**allowed)
