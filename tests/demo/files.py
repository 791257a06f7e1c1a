"""A picture each way, by the upload service of alice's server, compared byte by byte."""

from collections.abc import Iterator

import aiohttp

from tests.demo.lines import Line
from tests.demo.matrix_app import MatrixApp
from tests.demo.xmpp_app import XmppApp
from tests.e2e.shared_files import Shared, three
from tests.peers.uploading import put
from tests.peers.xmpp_client import Stanza

_OOB = "jabber:x:oob"


async def exchange(alice: XmppApp, bob: MatrixApp, service: str) -> list[str]:
    """Returns what went wrong, as sentences."""
    hers, his = three("alice")[0], three("bob")[0]
    client = alice.client
    url = await put(client, service, hers.name, hers.media_type, hers.data)
    id = client.send_message(alice.contact, url, extra=f"<x xmlns='{_OOB}'><url>{url}</url></x>")
    alice.lines.append(Line(id, url, mine=True))
    event = await bob.client.wait_text(hers.name, room_id=bob.room_id)
    await client.wait_receipt(id)
    alice.lines[-1].receipt = True
    came = await bob.client.download(event.content["url"])
    await bob.client.share(bob.room_id, his.data, his.content(), his.media_type)
    told = await client.wait_for(_is_file)
    async with aiohttp.ClientSession() as http, http.get(told.body or "") as answer:
        fetched = await answer.read()
    return [*_faults("bob", hers, came), *_faults("alice", his, fetched)]


def _is_file(stanza: Stanza) -> bool:
    return stanza.kind == "message" and stanza.child(_OOB, "x") is not None


def _faults(reader: str, file: Shared, came: bytes) -> Iterator[str]:
    if came != file.data:
        yield f"{reader} did not get {file.name} as it was sent."
