# SPDX-License-Identifier: Apache-2.0
"""What administrators do with groups. Words of refusals are those of TDLib and of the vendor's
server, github.com/tdlib/telegram-bot-api.
"""

from __future__ import annotations

from typing import Any

from tests.peers.bot_api.accounts import User
from tests.peers.bot_api.calls import Call, method
from tests.peers.bot_api.chats import PERMISSIONS, RIGHTS, Group, Member
from tests.peers.bot_api.errors import Misuse, bad
from tests.peers.bot_api.text import units

Json = dict[str, Any]

_LONGEST_TITLE, _LONGEST_ABOUT = 128, 255
_SHORTEST_BAN, _LONGEST_BAN = 30, 366 * 86_400
_KICK = 60
"""For so many seconds TDLib bans somebody whom it puts out, before it lets them in again."""
_ONLY_SUPER = "method is available for supergroup and channel chats only"


@method
def ban_chat_member(call: Call) -> bool:
    """Put somebody out; for good, unless it is a basic group."""
    _check_known(call, {"user_id", "until_date", "revoke_messages"})
    group, user = _group(call), _user(call)
    if group.is_super:
        old = _restrictable(call, group, user)
        until = _until(call)
        _change(call, group, old, Member(user, "kicked", until=until))
        return True
    old = group.member(user)
    if old.status == "creator":
        raise bad("can't remove chat owner")
    if not group.member(call.bot).may("can_restrict_members"):
        raise bad("need to be inviter of a user to kick it from a basic group")
    if old.is_admin:
        raise bad("only the creator of a basic group can kick group administrators")
    if old.is_present:
        _change(call, group, old, Member(user, "left"))
        call.world.post(group, call.bot, {"left_chat_member": user.json()})
    return True


@method
def unban_chat_member(call: Call) -> bool:
    """Lift a ban; who is there is put out, unless that is not wanted."""
    _check_known(call, {"user_id", "only_if_banned"})
    group, user = _supergroup(call, _ONLY_SUPER), _user(call)
    if call.arguments.get("only_if_banned") and group.member(user).status != "kicked":
        return True
    if group.member(user).status == "left":
        return True
    old = _restrictable(call, group, user)
    if old.is_present:
        banned = Member(user, "kicked", until=call.world.now + _KICK)
        _change(call, group, old, banned)
        old = banned
    _change(call, group, old, Member(user, "left"))
    return True


@method
def restrict_chat_member(call: Call) -> bool:
    """Let somebody do only this. Who may do all of it is restricted no more."""
    _check_known(call, {"user_id", "permissions", "use_independent_chat_permissions"})
    if not call.arguments.get("use_independent_chat_permissions"):
        raise Misuse("this server can't do permissions that imply others")
    group, user = _supergroup(call, "method is available only for supergroups"), _user(call)
    old = _restrictable(call, group, user)
    if not old.is_present:
        raise Misuse("this server can't restrict who is not there")
    given = call.arguments["permissions"]
    permissions = frozenset(name for name in PERMISSIONS if given.get(name))
    status = "member" if permissions == set(PERMISSIONS) else "restricted"
    new = Member(user, status, reads_all=old.reads_all, permissions=permissions)
    _change(call, group, old, new)
    return True


@method
def promote_chat_member(call: Call) -> bool:
    """Make somebody an administrator, or no more if no right is given."""
    _check_known(call, {"user_id", "is_anonymous", *RIGHTS})
    group, user = _supergroup(call, _ONLY_SUPER), _user(call)
    mine, old = group.member(call.bot), group.member(user)
    if user is call.bot:
        raise bad("can't promote self")
    if old.status == "creator":
        raise bad("can't remove chat owner")
    if not mine.may("can_promote_members"):
        raise bad("not enough rights")
    if not old.is_present:
        raise bad("USER_NOT_MUTUAL_CONTACT")
    if old.is_admin and old.promoted_by is not call.bot:
        raise bad("CHAT_ADMIN_REQUIRED")
    rights = {right for right in RIGHTS if call.arguments.get(right)}
    if not rights <= mine.rights:
        raise bad("RIGHT_FORBIDDEN")
    new = Member(user, reads_all=old.reads_all)
    if rights:
        new.status, new.rights, new.promoted_by = "administrator", rights, call.bot
        new.rights.add("can_manage_chat")
    _change(call, group, old, new)
    return True


@method
def set_chat_title(call: Call) -> bool:
    """Give it another name."""
    _check_known(call, {"title"})
    group, title = _changeable(call, "title"), call.arguments["title"].strip()
    if not title:
        raise bad("title can't be empty")
    if units(title) > _LONGEST_TITLE:
        raise bad("CHAT_TITLE_TOO_LONG")
    if title != group.title:
        group.title = title
        call.world.post(group, call.bot, {"new_chat_title": title})
    return True


@method
def set_chat_description(call: Call) -> bool:
    """Say something else about it."""
    _check_known(call, {"description"})
    group = _changeable(call, "description")
    description = call.arguments.get("description", "").strip()
    if units(description) > _LONGEST_ABOUT:
        raise bad("CHAT_ABOUT_TOO_LONG")
    if description == group.description:
        raise bad("chat description is not modified")
    group.description = description
    return True


@method
def set_chat_photo(call: Call) -> bool:
    """Give it another picture, which has to come with the request."""
    _check_known(call, {"photo"})
    group = _changeable(call, "photo")
    found = call.files.get(call.arguments["photo"].removeprefix("attach://"))
    if found is None:
        raise bad("photo must be uploaded as an InputFile")
    group.photo = call.world.files.photo(found.data, sides=(160, 640))
    sizes = [size.photo_size() for size in group.photo]
    call.world.post(group, call.bot, {"new_chat_photo": sizes})
    return True


@method
def delete_chat_photo(call: Call) -> bool:
    """Take its picture away."""
    _check_known(call, set())
    group = _changeable(call, "photo")
    if not group.photo:
        raise bad("CHAT_NOT_MODIFIED")
    group.photo = []
    call.world.post(group, call.bot, {"delete_chat_photo": True})
    return True


def _check_known(call: Call, names: set[str]) -> None:
    if unknown := call.arguments.keys() - names - {"chat_id"}:
        raise Misuse(f"{call.method}: this server can't do {', '.join(sorted(unknown))}")


def _group(call: Call) -> Group:
    chat = call.chat()
    if not isinstance(chat, Group):
        raise bad("method is available only for groups")
    return chat


def _supergroup(call: Call, otherwise: str) -> Group:
    group = _group(call)
    if not group.is_super:
        raise bad(otherwise)
    return group


def _changeable(call: Call, what: str) -> Group:
    group = _group(call)
    if not group.member(call.bot).may("can_change_info"):
        raise bad(f"not enough rights to change chat {what}")
    return group


def _user(call: Call) -> User:
    user = call.world.users.get(call.arguments["user_id"])
    if user is None:
        raise bad("PARTICIPANT_ID_INVALID")
    return user


def _restrictable(call: Call, group: Group, user: User) -> Member:
    """Whom the bot may put out or restrict; ApiError if not."""
    old = group.member(user)
    if user is call.bot:
        raise bad("can't restrict self")
    if old.status == "creator":
        raise bad("can't remove chat owner")
    if not group.member(call.bot).may("can_restrict_members"):
        raise bad("not enough rights to restrict/unrestrict chat member")
    if old.is_admin and old.promoted_by is not call.bot:
        raise bad("user is an administrator of the chat")
    return old


def _until(call: Call) -> int:
    """When a ban ends. One that is very short or very long is for ever."""
    until: int = call.arguments.get("until_date", 0)
    length = until - call.world.now
    return until if _SHORTEST_BAN <= length <= _LONGEST_BAN else 0


def _change(call: Call, group: Group, old: Member, new: Member) -> None:
    call.world.change_member(group, old, new, call.bot)
