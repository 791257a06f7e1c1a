"""A file on its way to the upload service of a client's server (XEP-0363)."""

from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import aiohttp

from .xmpp_client import XmppClient

_UPLOAD = "urn:xmpp:http:upload:0"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file may be put, with these headers, and found then."""

    put: str
    headers: dict[str, str]
    get: str


async def place(client: XmppClient, service: str, name: str, media_type: str, size: int) -> Place:
    """XEP-0363 §4, §5; there is nothing yet."""
    wish = (
        f"<request xmlns='{_UPLOAD}' filename={quoteattr(name)} size='{size}'"
        f" content-type='{media_type}'/>"
    )
    answer = await client.iq(service, wish)
    slot = answer.child(_UPLOAD, "slot")
    assert slot is not None, str(answer)
    put, get = slot.find(f"{{{_UPLOAD}}}put"), slot.find(f"{{{_UPLOAD}}}get")
    assert put is not None
    assert get is not None
    headers = {child.get("name", ""): child.text or "" for child in put}
    headers["Content-Type"] = media_type
    return Place(put.get("url", ""), headers, get.get("url", ""))


async def put(client: XmppClient, service: str, name: str, media_type: str, data: bytes) -> str:
    """Returns where it can be fetched."""
    there = await place(client, service, name, media_type, len(data))
    async with (
        aiohttp.ClientSession() as http,
        http.put(there.put, data=data, headers=there.headers) as done,
    ):
        assert done.status in (200, 201)
    return there.get
