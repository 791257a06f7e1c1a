"""The servers and clients that the other end-to-end tests stand on."""

from pathlib import Path

import pytest

from tests.peers.matrix_client import MatrixClient
from tests.peers.process import PeerError
from tests.peers.prosody import Prosody
from tests.peers.synapse import Synapse
from tests.peers.xmpp_client import XmppClient


def _xmpp(server: Prosody, user: str, password: str = 'a "secret" \\ ü') -> XmppClient:
    server.add_user(user, password)
    return XmppClient(user, password, port=server.c2s_port, ca_file=server.ca_file)


async def test_client_logs_in_over_tls_and_pings(prosody: Prosody) -> None:
    async with _xmpp(prosody, "anna") as anna:
        await anna.ping()
        assert await anna.roster() == {}


async def test_client_refuses_a_server_of_another_authority(
    prosody: Prosody, tmp_path: Path
) -> None:
    stranger = Prosody(tmp_path)
    prosody.add_user("anton", "secret")
    client = XmppClient("anton", "secret", port=prosody.c2s_port, ca_file=stranger.ca_file)
    with pytest.raises(PeerError, match="cannot log in"):
        await client.connect()


async def test_client_with_a_wrong_password_is_refused(prosody: Prosody) -> None:
    prosody.add_user("berta", "right")
    client = XmppClient("berta", "wrong", port=prosody.c2s_port, ca_file=prosody.ca_file)
    with pytest.raises(PeerError, match="cannot log in"):
        await client.connect()


async def test_two_xmpp_users_talk(prosody: Prosody) -> None:
    async with _xmpp(prosody, "cora") as cora, _xmpp(prosody, "dave.d") as dave:
        id = cora.send_message(dave.jid, "<hello> & 'good day' 🎉")
        message = await dave.wait_message("<hello> & 'good day' 🎉", sender=cora.bare)
        assert message.id == id
        dave.send_receipt(cora.jid, id)
        await cora.wait_receipt(id)
        dave.send_chat_state(cora.jid, "composing")
        await cora.wait_chat_state("composing", sender=dave.jid)
        lost = cora.send_message("nobody@localhost", "anybody there?")
        assert (await cora.wait_error(lost)).sender == "nobody@localhost"


async def test_a_subscription_waits_for_the_user(prosody: Prosody) -> None:
    async with _xmpp(prosody, "emma") as emma, _xmpp(prosody, "finn") as finn:
        emma.subscribe(finn.bare)
        await finn.wait_presence("subscribe", sender=emma.bare)
        await finn.ping()
        item = (await emma.roster())[finn.bare]
        assert (item.get("subscription"), item.get("ask")) == ("none", "subscribe")
        finn.approve(emma.bare)
        await emma.wait_presence(sender=finn.jid)
        assert (await emma.roster())[finn.bare].get("subscription") == "to"


@pytest.mark.parametrize("fix_privilege", [False, True])
async def test_prosody_keeps_users_and_ports_over_a_restart(
    tmp_path: Path, fix_privilege: bool
) -> None:
    async with Prosody(tmp_path, fix_privilege=fix_privilege) as server:
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


async def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    server = Prosody(tmp_path, extra_global="this is not Lua")
    with pytest.raises(PeerError, match="Prosody did not start"):
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
