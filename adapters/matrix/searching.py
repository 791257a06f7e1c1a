# SPDX-License-Identifier: Apache-2.0
"""Groups in the directory of a server.

Matrix spec, client-server API, "POST /publicRooms".
"""

from __future__ import annotations

from typing import Any

from adapters.matrix.http import Api
from adapters.matrix.ids import is_server_name
from adapters.matrix.inbound import Event, as_dicts
from adapters.matrix.links import is_alias, link_to, parsed
from adapters.matrix.text import clean
from gateway.errors import Forbidden, NotFound
from gateway.events import FoundRoom, FoundRooms, SearchRooms
from gateway.ids import RemoteRoomId
from gateway.text.wording import tr

_NAME_BYTES, _TOPIC_BYTES = 500, 1_000
_MOST_TOKEN = 1_000
_SPACE = "m.space"


async def search(api: Api, wanted: SearchRooms) -> FoundRooms:
    """One page. Without a server, that of the account."""
    server = wanted.server.strip().lower()
    if server and not is_server_name(server):
        raise NotFound(tr("“{server}” is not the name of a server.", server=wanted.server[:100]))
    body: dict[str, Any] = {"limit": wanted.most}
    if wanted.words:
        body["filter"] = {"generic_search_term": wanted.words}
    if wanted.page:
        body["since"] = wanted.page
    query = [("server", server)] if server else []
    try:
        answer = await api.post("publicRooms", body=body, query=query)
    except Forbidden as error:
        whose = server or tr("Your homeserver")
        raise Forbidden(
            tr("{whose} does not show its list of groups. {text}", whose=whose, text=error.text)
        ) from error
    except NotFound as error:
        raise NotFound(tr("The list of groups cannot be had. {text}", text=error.text)) from error
    found = (_found(listed, server) for listed in as_dicts(answer.get("chunk")))
    rooms = tuple(room for room in found if room is not None)
    after = answer.get("next_batch")
    is_token = isinstance(after, str) and len(after) <= _MOST_TOKEN and after != wanted.page
    return FoundRooms(rooms=rooms, next=str(after) if is_token else "")


def _found(listed: Event, server: str) -> FoundRoom | None:
    """Spaces are no groups in which anybody speaks."""
    room_id, members = str(listed.get("room_id")), listed.get("num_joined_members")
    if parsed(room_id) is None or listed.get("room_type") == _SPACE:
        return None
    is_open = listed.get("join_rule", "public") == "public"
    return FoundRoom(
        room=RemoteRoomId(room_id),
        name=_text(listed.get("name"), _NAME_BYTES),
        topic=_text(listed.get("topic"), _TOPIC_BYTES),
        members=members if isinstance(members, int) and 0 <= members < 2**53 else 0,
        address=_address(room_id, listed.get("canonical_alias"), server) if is_open else "",
        is_open=is_open,
    )


def _address(room_id: str, alias: object, server: str) -> str:
    """A room without an alias is joined by a server that is in it: the one that lists it."""
    if isinstance(alias, str) and is_alias(alias):
        return alias
    return link_to(room_id, server) if server else room_id


def _text(said: object, octets: int) -> str:
    return clean(said, octets).replace("\n", " ") if isinstance(said, str) else ""
