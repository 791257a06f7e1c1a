"""A file on its way to the upload service of a client's server (XEP-0363)."""

from xml.sax.saxutils import quoteattr

import aiohttp

from .xmpp_client import XmppClient

_UPLOAD = "urn:xmpp:http:upload:0"


async def put(client: XmppClient, service: str, name: str, media_type: str, data: bytes) -> str:
    """XEP-0363 §4, §5; returns where it can be fetched."""
    wish = (
        f"<request xmlns='{_UPLOAD}' filename={quoteattr(name)} size='{len(data)}'"
        f" content-type='{media_type}'/>"
    )
    answer = await client.iq(service, wish)
    slot = answer.child(_UPLOAD, "slot")
    assert slot is not None, str(answer)
    place, get = slot.find(f"{{{_UPLOAD}}}put"), slot.find(f"{{{_UPLOAD}}}get")
    assert place is not None
    assert get is not None
    headers = {child.get("name", ""): child.text or "" for child in place}
    headers["Content-Type"] = media_type
    async with (
        aiohttp.ClientSession() as http,
        http.put(place.get("url", ""), data=data, headers=headers) as done,
    ):
        assert done.status in (200, 201)
    return get.get("url", "")
