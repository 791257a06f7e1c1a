# SPDX-License-Identifier: Apache-2.0
"""People: looking for them in the directory of the homeserver, and what others call them.

Matrix spec, client-server API, "POST /user_directory/search"; appendices, "matrix: URI scheme"
and "matrix.to navigation".
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from adapters.matrix.http import Api
from adapters.matrix.ids import contact_at, is_user_id
from adapters.matrix.inbound import as_dicts
from adapters.matrix.text import clean
from gateway.errors import Forbidden, NotFound
from gateway.events import FoundPerson, SearchPeople
from gateway.ids import RemoteUserId
from gateway.text.wording import tr

_NAME_BYTES = 500
_KINDS = ("u", "user")
_LONGEST = 2_000


async def search(api: Api, wanted: SearchPeople) -> list[FoundPerson]:
    """Those whom the homeserver shows to the account: often those of its groups alone."""
    body = {"search_term": wanted.words, "limit": wanted.most}
    try:
        answer = await api.post("user_directory", "search", body=body)
    except (Forbidden, NotFound) as error:
        raise Forbidden(
            tr("Your homeserver does not search for people. {text}", text=error.text)
        ) from error
    found = []
    for listed in as_dicts(answer.get("results")):
        user, name = listed.get("user_id"), listed.get("display_name")
        if is_user_id(user):
            shown = clean(name, _NAME_BYTES) if isinstance(name, str) else ""
            found.append(FoundPerson(user=RemoteUserId(user), name=shown))
    return found


def called(typed: str) -> RemoteUserId | None:
    """Whom somebody means: an id with or without ``@``, with blanks, or a link to a person."""
    if len(typed) > _LONGEST:
        return None
    typed = "".join(typed.split())
    scheme, _, rest = typed.partition(":")
    if scheme.lower() == "matrix":
        kind, _, name = rest.partition("?")[0].removeprefix("/").partition("/")
        return _with_sign(unquote(name.partition("/")[0])) if kind in _KINDS else None
    if scheme.lower() in ("http", "https"):
        return _linked(typed)
    if "%" in typed and not typed.startswith("@"):
        return contact_at(typed)
    return _with_sign(typed)


def _linked(typed: str) -> RemoteUserId | None:
    """The links of matrix.to, and those of clients for the browser, which look alike."""
    try:
        place = urlsplit(typed).fragment
    except ValueError:
        return None
    name = unquote(place.partition("?")[0].removeprefix("/").removeprefix("user/"))
    return contact_at(name) if name.startswith("@") else None


def _with_sign(name: str) -> RemoteUserId | None:
    if name.startswith("@"):
        return contact_at(name)
    local, colon, server = name.partition(":")
    return contact_at(f"{local}%{server}" if colon else name)
