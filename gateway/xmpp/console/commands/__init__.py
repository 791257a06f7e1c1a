# SPDX-License-Identifier: Apache-2.0
"""The commands: what each is called, what it says of itself, who may give it."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.events import (
    CreateRoom,
    DestroyRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    RemoveFromRoom,
)
from gateway.xmpp.console.commands.account import log_out, tell_status, unregister
from gateway.xmpp.console.commands.admin import FORM_TYPE as ADMIN
from gateway.xmpp.console.commands.admin import end_session, list_sessions
from gateway.xmpp.console.commands.admission import admit, dismiss, list_requests
from gateway.xmpp.console.commands.encryption import set_up_encryption
from gateway.xmpp.console.commands.groups import create, decline, destroy, invite, join, leave
from gateway.xmpp.console.commands.knocks import answer_knocks
from gateway.xmpp.console.commands.login import log_in
from gateway.xmpp.console.commands.rooms import list_rooms
from gateway.xmpp.console.commands.search import search
from gateway.xmpp.console.commands.settings import change_settings
from gateway.xmpp.console.model import (
    Command,
    can,
    can_search,
    has_account,
    has_none,
    has_rooms,
    is_linked,
    may_encrypt,
    may_log_in_again,
)

_ALL = (
    Command(
        name="login",
        title="Log in again",
        summary="link your account on the network, or log in again",
        run=log_in,
        fits=may_log_in_again,
    ),
    Command(
        name="register",
        title="Link an account",
        summary="the same as login",
        run=log_in,
        in_help=False,
        fits=has_none,
    ),
    Command(
        name="status",
        title="Status",
        summary="whether you are connected, and what waits",
        run=tell_status,
        needs_account=True,
        fits=has_account,
    ),
    Command(
        name="settings",
        title="Settings",
        summary="what the network is told of you, and more",
        run=change_settings,
        needs_account=True,
        fits=has_account,
    ),
    Command(
        name="rooms",
        title="Groups",
        summary="your groups on the network, and how to join them here",
        run=list_rooms,
        needs_account=True,
        is_particular=True,
        fits=has_rooms,
    ),
    Command(
        name="search",
        title="Search for groups",
        summary="look for groups of the network that anybody may join",
        run=search,
        needs_account=True,
        takes_word=True,
        is_particular=True,
        fits=can_search,
    ),
    Command(
        name="join",
        title="Join a group",
        summary="come into a group of the network, or accept an invitation",
        run=join,
        needs_account=True,
        takes_word=True,
        is_particular=True,
        fits=can(JoinRoom),
    ),
    Command(
        name="decline",
        title="Decline an invitation",
        summary="do not come into a group that you are invited to",
        run=decline,
        needs_account=True,
        is_particular=True,
        fits=can(JoinRoom, LeaveRoom),
    ),
    Command(
        name="knocks",
        title="Who asks to be let in",
        summary="who asks to be let into your groups, and let them in or not",
        run=answer_knocks,
        needs_account=True,
        is_particular=True,
        fits=can(InviteToRoom, RemoveFromRoom),
    ),
    Command(
        name="leave",
        title="Leave a group",
        summary="go out of a group of the network",
        run=leave,
        needs_account=True,
        takes_word=True,
        is_particular=True,
        fits=can(LeaveRoom),
    ),
    Command(
        name="destroy",
        title="Destroy a group",
        summary="end a group of yours on the network, for everybody",
        run=destroy,
        needs_account=True,
        takes_word=True,
        is_particular=True,
        fits=can(DestroyRoom),
    ),
    Command(
        name="create",
        title="Make a group",
        summary="make a group on the network",
        run=create,
        needs_account=True,
        takes_word=True,
        is_particular=True,
        fits=can(CreateRoom),
    ),
    Command(
        name="invite",
        title="Invite to a group",
        summary="invite somebody to a group of yours",
        run=invite,
        needs_account=True,
        takes_word=True,
        is_particular=True,
        fits=can(InviteToRoom),
    ),
    Command(
        name="encryption",
        title="Encryption",
        summary="how encrypted conversations of the network are read and written",
        run=set_up_encryption,
        needs_account=True,
        is_particular=True,
        fits=may_encrypt,
    ),
    Command(
        name="logout",
        title="Log out",
        summary="end the login, keep contacts",
        run=log_out,
        needs_account=True,
        fits=is_linked,
    ),
    Command(
        name="unregister",
        title="Unregister",
        summary="end the login and delete everything the gateway keeps of you",
        run=unregister,
        needs_account=True,
        leaves=True,
        fits=has_account,
    ),
    Command(
        name="sessions",
        title="List all accounts",
        summary="all accounts and how they are connected (admins)",
        run=list_sessions,
        node=f"{ADMIN}#get-online-users-list",
        for_admins=True,
    ),
    Command(
        name="end-session",
        title="End a session",
        summary="log a user out (admins)",
        run=end_session,
        node=f"{ADMIN}#end-user-session",
        for_admins=True,
    ),
    Command(
        name="requests",
        title="List who wants to be admitted",
        summary="who waits to be admitted, and who was (admins)",
        run=list_requests,
        for_admins=True,
        on_admission=True,
    ),
    Command(
        name="admit",
        title="Admit users",
        summary="let somebody link an account who may not do so by themselves (admins)",
        run=admit,
        for_admins=True,
        on_admission=True,
    ),
    Command(
        name="dismiss",
        title="Refuse users",
        summary="do not let somebody link an account, or no longer (admins)",
        run=dismiss,
        for_admins=True,
        on_admission=True,
    ),
)

COMMANDS: Mapping[str, Command] = {command.name: command for command in _ALL}
BY_NODE: Mapping[str, Command] = {command.node or command.name: command for command in _ALL}
