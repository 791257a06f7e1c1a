"""The servers and clients that the other end-to-end tests stand on."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.peers.ejabberd import Ejabberd
from tests.peers.matrix_client import MatrixClient
from tests.peers.process import PeerError
from tests.peers.prosody import Prosody
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import XmppClient
from tests.peers.xmpp_server import XmppServer


def _xmpp(server: XmppServer, user: str, password: str = 'a "secret" \\ ü') -> XmppClient:
    server.add_user(user, password)
    return XmppClient(user, password, port=server.c2s_port, ca_file=server.ca_file)


async def test_client_logs_in_over_tls_and_pings(xmpp_server: XmppServer) -> None:
    async with _xmpp(xmpp_server, "anna") as anna:
        await anna.ping()
        assert await anna.roster() == {}


async def test_client_refuses_a_server_of_another_authority(
    xmpp_server: XmppServer, tmp_path: Path
) -> None:
    stranger = Prosody(tmp_path)
    xmpp_server.add_user("anton", "secret")
    client = XmppClient("anton", "secret", port=xmpp_server.c2s_port, ca_file=stranger.ca_file)
    with pytest.raises(PeerError, match="cannot log in"):
        await client.connect()


async def test_client_with_a_wrong_password_is_refused(xmpp_server: XmppServer) -> None:
    xmpp_server.add_user("berta", "right")
    client = XmppClient("berta", "wrong", port=xmpp_server.c2s_port, ca_file=xmpp_server.ca_file)
    with pytest.raises(PeerError, match="cannot log in"):
        await client.connect()


async def test_two_xmpp_users_talk(xmpp_server: XmppServer) -> None:
    async with _xmpp(xmpp_server, "cora") as cora, _xmpp(xmpp_server, "dave.d") as dave:
        id = cora.send_message(dave.jid, "<hello> & 'good day' 🎉")
        message = await dave.wait_message("<hello> & 'good day' 🎉", sender=cora.bare)
        assert message.id == id
        dave.send_receipt(cora.jid, id)
        await cora.wait_receipt(id)
        dave.send_chat_state(cora.jid, "composing")
        await cora.wait_chat_state("composing", sender=dave.jid)
        lost = cora.send_message("nobody@localhost", "anybody there?")
        assert (await cora.wait_error(lost)).sender == "nobody@localhost"


async def test_a_subscription_waits_for_the_user(xmpp_server: XmppServer) -> None:
    async with _xmpp(xmpp_server, "emma") as emma, _xmpp(xmpp_server, "finn") as finn:
        emma.subscribe(finn.bare)
        await finn.wait_presence("subscribe", sender=emma.bare)
        await finn.ping()
        item = (await emma.roster())[finn.bare]
        assert (item.get("subscription"), item.get("ask")) == ("none", "subscribe")
        finn.approve(emma.bare)
        await emma.wait_presence(sender=finn.jid)
        assert (await emma.roster())[finn.bare].get("subscription") == "to"


@pytest.mark.parametrize(
    "kind",
    [Prosody, partial(Prosody, fix_privilege=True), Ejabberd],
    ids=["prosody", "prosody fixed", "ejabberd"],
)
async def test_an_xmpp_server_keeps_users_and_ports_over_a_restart(
    tmp_path: Path, kind: Callable[[Path], XmppServer]
) -> None:
    server = kind(tmp_path)
    server.add_user("gina", "known before the start")
    async with server:
        async with _xmpp(server, "gina") as gina:
            server.freeze()
            gina.send_raw("<iq type='get' id='late'><ping xmlns='urn:xmpp:ping'/></iq>")
            with pytest.raises(AssertionError, match="waited"):
                await gina.wait_for(lambda stanza: stanza.id == "late", timeout=0.1)
            server.thaw()
            await gina.wait_for(lambda stanza: stanza.id == "late")
        server.kill()
        assert not server.running
        await server.start()
        async with _xmpp(server, "gina") as gina:
            await gina.ping()
    assert not server.running


@pytest.mark.parametrize(
    "broken",
    [
        lambda directory: Prosody(directory, extra_global="this is not Lua"),
        lambda directory: Ejabberd(directory, options={"no_such_option": True}),
    ],
    ids=["prosody", "ejabberd"],
)
async def test_a_server_that_ends_at_once_says_why(
    tmp_path: Path, broken: Callable[[Path], XmppServer]
) -> None:
    server = broken(tmp_path)
    with pytest.raises(PeerError, match="did not start: it ended at once"):
        await server.start()
    assert not server.running


async def test_two_matrix_users_talk(synapse: Synapse) -> None:
    for user in ("anna", "bernd"):
        await synapse.add_user(user, "secret")
    async with (
        MatrixClient(synapse.url, "anna", "secret") as anna,
        MatrixClient(synapse.url, "bernd", "secret") as bernd,
    ):
        room = await anna.create_direct(bernd.user_id)
        assert await bernd.wait_invite(sender=synapse.user_id("anna")) == room
        await bernd.join(room)
        await anna.wait_member(room, bernd.user_id)
        assert await anna.direct_rooms() == {bernd.user_id: [room]}

        first = await anna.send_text(room, "hello", txn_id="t1")
        assert await anna.send_text(room, "hello", txn_id="t1") == first
        assert (await bernd.wait_text("hello", room_id=room)).event_id == first
        await bernd.read(room, first)
        await anna.wait_receipt(first, user_id=bernd.user_id)
        await bernd.typing(room)
        await anna.wait_typing(room, bernd.user_id)
        await bernd.set_presence("unavailable", "away")
        await anna.wait_presence(bernd.user_id, "unavailable")


async def test_a_matrix_client_that_was_away_misses_nothing(synapse: Synapse) -> None:
    for user in ("clara", "dirk"):
        await synapse.add_user(user, "secret")
    dirk = MatrixClient(synapse.url, "dirk", "secret", timeline_limit=3)
    texts = [f"text {number}" for number in range(12)]
    async with MatrixClient(synapse.url, "clara", "secret") as clara:
        async with dirk:
            room = await clara.create_direct(dirk.user_id)
            await dirk.join(room)
            await dirk.wait_member(room, dirk.user_id)
            mark = dirk.inbox.mark()
        for text in texts:
            await clara.send_text(room, text)
        async with dirk:
            await dirk.wait_text(texts[-1])
    received = dirk.inbox.find(lambda event: event.body is not None, since=mark)
    assert [event.body for event in received] == texts
