"""What a user's server has kept for them, and how a client comes back to it."""

import asyncio
import time

from tests.peers.process import PeerError
from tests.peers.xmpp_client import Stanza, XmppClient

_MAM = "urn:xmpp:mam:2"
_RSM = "http://jabber.org/protocol/rsm"


async def archive(client: XmppClient, contact: str) -> list[tuple[str, str]]:
    """Id and text of all that the server has archived from a contact, in order."""
    return [
        (stanza.id, stanza.body)
        for stanza in await archived(client, contact)
        if stanza.body is not None and stanza.sender_bare == contact
    ]


async def archived(client: XmppClient, contact: str) -> list[Stanza]:
    """All messages from and to a contact that the server has archived, in order."""
    form = (
        "<x xmlns='jabber:x:data' type='submit'>"
        f"<field var='FORM_TYPE' type='hidden'><value>{_MAM}</value></field>"
        f"<field var='with'><value>{contact}</value></field></x>"
    )
    mark, after = client.inbox.mark(), ""
    while True:
        page = f"<set xmlns='{_RSM}'><max>250</max>{after}</set>"
        answer = await client.iq(None, f"<query xmlns='{_MAM}'>{form}{page}</query>", type="set")
        fin = answer.child(_MAM, "fin")
        assert fin is not None, str(answer)
        if fin.get("complete") == "true":
            break
        last = fin.findtext(f"{{{_RSM}}}set/{{{_RSM}}}last")
        after = f"<after>{last}</after>"
    path = f"{{{_MAM}}}result/{{urn:xmpp:forward:0}}forwarded/{{jabber:client}}message"
    found = (stanza.xml.find(path) for stanza in client.inbox.items[mark:])
    return [Stanza(message) for message in found if message is not None]


async def reconnect(client: XmppClient) -> None:
    """Come back to a server that was away."""
    client.abort()
    await connect(client)


async def connect(client: XmppClient, timeout: float = 20) -> None:
    """Log in as soon as the server lets in anybody."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            await client.connect()
        except PeerError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return
