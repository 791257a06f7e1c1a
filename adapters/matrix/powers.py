# SPDX-License-Identifier: Apache-2.0
"""Changes of what people may do in a group: an ``m.room.power_levels`` → the next one. No I/O.

Matrix spec, client-server API, "m.room.power_levels"; "Room version 12" of creators; room version
specifications, "Authorization rules", of who may change what. Whatever is not to be changed stays
as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from adapters.matrix.groups import affiliation_at, level_of, levels_in, to_be, to_speak
from adapters.matrix.inbound import as_dict
from adapters.matrix.rooms import Group
from gateway.errors import Forbidden, Unsupported
from gateway.events import Affiliation
from gateway.text.wording import tr

_LOWEST = -(2**53) + 1
"""Spec, "Canonical JSON"."""

_RULERS = (Affiliation.OWNER, Affiliation.ADMIN)
_ALIKE = tr("In this group all are alike who do not administer it.")
_IMPOSSIBLE = {
    Affiliation.ADMIN: tr("In this group those who may remove others are owners."),
    Affiliation.MEMBER: _ALIKE,
    Affiliation.NONE: _ALIKE,
}

Content = Mapping[str, Any]


def initial(group: Group) -> Content:
    """What holds as long as nothing was set, written down. Creators must not be in it where they
    stand above all levels."""
    founder = group.founder if group.founder and not group.creators else None
    return {"users": {founder: 100} if founder else {}, "state_default": 0}


def affiliated(
    content: Content, group: Group, own: str, user: str, affiliation: Affiliation
) -> Content | None:
    """With somebody as an owner, an admin, or like everybody else; None: they are that already.

    Raises `Forbidden`, or `Unsupported` where levels cannot say it.
    """
    group = replace(group, levels=levels_in(content))
    level, default = level_of(group, user), levels_in(content).default
    needed = to_be(group, affiliation)
    wanted = default if needed is None else needed
    becomes = affiliation_at(group, wanted)
    is_so = affiliation_at(group, level) is becomes
    if becomes is not affiliation and (needed is not None or becomes in _RULERS or is_so):
        raise Unsupported(_IMPOSSIBLE[affiliation])
    return None if is_so else _with_level(content, group, own, user, wanted)


def voiced(
    content: Content, group: Group, own: str, user: str, *, may_speak: bool
) -> Content | None:
    """With somebody who may speak, or may not. As `affiliated`."""
    group = replace(group, levels=levels_in(content))
    level, default = level_of(group, user), levels_in(content).default
    needed = to_speak(group)
    if (level >= needed) is may_speak:
        return None
    if may_speak:
        wanted = default if default >= needed else needed
        if affiliation_at(group, wanted) in _RULERS:
            raise Unsupported(tr("In this group only those who administer it may speak."))
    else:
        wanted = default if default < needed else needed - 1
        if wanted < _LOWEST:
            raise Unsupported(tr("In this group everybody may speak."))
    return _with_level(content, group, own, user, wanted)


def _with_level(content: Content, group: Group, own: str, user: str, wanted: int) -> Content:
    mine, theirs = level_of(group, own), level_of(group, user)
    levels = levels_in(content)
    if mine < levels.power_levels:
        raise Forbidden(tr("You may not change what others may do in this group."))
    if user in group.creators:
        raise Forbidden(tr("Whoever has made this group keeps all rights in it."))
    if theirs >= mine and user != own:
        raise Forbidden(tr("They may do as much in this group as you, or more."))
    if wanted > mine:
        raise Forbidden(tr("You can give nobody more rights than you have."))
    users = {**as_dict(content.get("users"))}
    users.pop(user, None)
    if wanted != levels.default:
        users[user] = wanted
    return {**content, "users": users}
