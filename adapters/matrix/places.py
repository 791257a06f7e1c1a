# SPDX-License-Identifier: Apache-2.0
"""Places that people share, both ways. No I/O.

Matrix spec, client-server API, "m.location"; RFC 5870 (``geo:`` URIs). Clients draw a map where
the whole text is such a URI, so a place is told as that alone (REQ-453).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adapters.matrix.inbound import Event, as_dict, event_id_of, is_message
from adapters.matrix.relations import related
from adapters.matrix.text import clean
from gateway.ids import RemoteMessageId
from gateway.text.wording import tr

_NUMBER = r"-?\d{1,9}(?:\.\d{1,20})?"
_GEO = re.compile(
    rf"geo:{_NUMBER},{_NUMBER}(?:,{_NUMBER})?(?:;[a-z0-9-]{{1,20}}(?:=[\w.%-]{{1,40}})?){{0,4}}",
    re.ASCII | re.IGNORECASE,
)
_DETAILS = ("m.location", "org.matrix.msc3488.location")
_MAX_NAME_BYTES = 512


def is_place(text: object) -> bool:
    """Whether it is a ``geo:`` URI and nothing else."""
    return isinstance(text, str) and _GEO.fullmatch(text) is not None


def place_in(content: Mapping[str, Any]) -> str:
    """The place that a message shares, or the empty string."""
    found = [content.get("geo_uri"), *(_details(content, name).get("uri") for name in _DETAILS)]
    return next((str(uri) for uri in found if is_place(uri)), "")


def place_named_in(event: Event) -> tuple[RemoteMessageId, str] | None:
    """What a place is called that somebody shares, as a line with an id of its own: the message
    has nothing but the place."""
    content = related(event).words
    is_place = is_message(event) and content.get("msgtype") == "m.location" and place_in(content)
    name = _name(content) if is_place else ""
    if not name:
        return None
    return RemoteMessageId(f"{event_id_of(event)} place"), tr(
        "The place is called “{name}”.", name=name
    )


def _name(content: Mapping[str, Any]) -> str:
    """Apps that have no name for it write the URI into the text."""
    found = [*(_details(content, name).get("description") for name in _DETAILS)]
    name = next((each for each in found if isinstance(each, str) and each.strip()), None)
    if name is None:
        body = content.get("body")
        name = body if isinstance(body, str) and "geo:" not in body else ""
    return " ".join(clean(name, _MAX_NAME_BYTES).split())


def place_content(uri: str) -> dict[str, Any]:
    """A place that the user shares."""
    return {"msgtype": "m.location", "body": uri, "geo_uri": uri}


def _details(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    return as_dict(content.get(name))
