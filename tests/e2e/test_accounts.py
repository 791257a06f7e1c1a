"""Linking an account and ending the link, in the chat with the gateway."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.demo.login import Talk
from tests.e2e.house import GATEWAY, PASSWORD, House
from tests.peers.matrix_client import MatrixClient
from tests.peers.xmpp_client import Stanza


@pytest.fixture
async def web_site() -> AsyncIterator[str]:
    """The URL of a site that answers everything with a page."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>Welcome</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_wrong_password_is_asked_for_again(house: House) -> None:
    async with house.running() as scene:
        talk = scene.talk
        await talk.answer_login(house.synapse.url, scene.phone.user, "wrong")
        await talk.hear("does not accept this user name and password")
        await talk.hear("Password?")
        talk.say(PASSWORD)
        await talk.hear(f"You are logged in as {scene.phone.user_id}")
        said = "\n".join(line.text for line in talk.said if not line.by_user)
        assert PASSWORD not in said
        assert PASSWORD not in scene.gateway.log_file.read_text()
        assert PASSWORD.encode() not in scene.gateway.database.read_bytes()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("http://127.0.0.1:1", "cannot be reached"),
        ("nowhere.invalid", "cannot be reached"),
        ("not a name", "is not the name of a homeserver"),
    ],
)
async def test_a_wrong_homeserver_is_told(house: House, typed: str, said: str) -> None:
    async with house.running() as scene:
        # Before a password is asked for.
        await scene.talk.ask("login", "Homeserver?")
        await scene.talk.ask(typed, "How do you want to log in?")
        await scene.talk.ask("-", said)
        await scene.talk.hear("Homeserver?")
        await scene.talk.ask(house.synapse.url, "User name?")
        await scene.talk.ask(scene.phone.user, "Password?")
        scene.talk.say(PASSWORD)
        await scene.talk.hear("You are logged in as")


async def test_a_web_site_is_no_homeserver(house: House, web_site: str) -> None:
    async with house.running() as scene:
        await scene.talk.ask("login", "Homeserver?")
        await scene.talk.ask(web_site, "How do you want to log in?")
        await scene.talk.ask("1", "is not a Matrix homeserver")
        await scene.talk.hear("Homeserver?")
        await scene.talk.ask("cancel", "Cancelled.")
        await scene.talk.ask("status", "You have no account here")


async def test_it_is_said_where_encryption_ends(house: House) -> None:
    async with house.linked() as scene:
        await scene.talk.hear("Encrypted conversations end at this gateway")
        await scene.talk.ask("help", "encryption: how encrypted conversations")
        await scene.alice.wait_for(lambda stanza: stanza.text("status") == "Connected")
        await scene.talk.ask("encryption", "Encrypted conversations end at this gateway")
        await scene.talk.ask("4", "From now on: Write only to devices that their owners")
        await scene.talk.ask("encryption", "Now: Write only to devices that their owners")
        await scene.talk.ask("1", "recovery key when you set it up")
        await scene.talk.ask("no key", "Your account has no recovery key")


async def test_a_message_without_an_account_is_refused(house: House) -> None:
    async with house.running() as scene:
        id = scene.alice.send_message(scene.bob_jid, "Hello?")
        assert "registration-required" in str(await scene.alice.wait_error(id))


async def test_a_revoked_login_is_told_once(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        mark = scene.alice.inbox.mark()
        await _log_out_all_devices(scene.phone)

        def is_dnd(stanza: Stanza) -> bool:
            return stanza.kind == "presence" and stanza.text("show") == "dnd"

        presence = await scene.alice.wait_for(is_dnd, since=mark)
        assert presence.sender_bare == GATEWAY
        assert "log in again" in presence.text("status")
        await scene.talk.hear("Send “login” to log in again.")
        waiting = scene.alice.send_message(scene.bob_jid, "This waits.")
        await scene.ping_gateway()  # it is here, and has not met a server without a gateway
        await scene.gateway.stop()
        await scene.gateway.start()
        await scene.talk.ask("status", "the login has expired")
        told = [line for line in scene.talk.said if "Send “login” to log in again." in line.text]
        assert len(told) == 1
        assert waiting not in scene.receipts()

        # With a new login it goes on where it was.
        await scene.talk.log_in_again(PASSWORD)
        await scene.alice.wait_receipt(waiting)
        await scene.bob.wait_text("This waits.", room_id=scene.room)


async def test_logout_ends_the_remote_session_and_keeps_the_rest(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        assert await _gateway_devices(scene.phone) == 1
        await scene.talk.ask("logout", "You are logged out.")
        assert await _gateway_devices(scene.phone) == 0
        assert scene.query("SELECT count(*) FROM account WHERE secret IS NOT NULL") == [(0,)]
        assert scene.query("SELECT count(*) FROM account") == [(1,)]
        id = scene.alice.send_message(scene.bob_jid, "Hello?")
        await scene.alice.wait_error(id)
        await scene.talk.log_in_again(PASSWORD)
        id = scene.alice.send_message(scene.bob_jid, "Back again.")
        await scene.alice.wait_receipt(id)
        await scene.bob.wait_text("Back again.", room_id=scene.room)


async def test_unregister_ends_the_remote_session_and_wipes_everything(house: House) -> None:
    async with house.linked() as scene:
        await scene.chat()
        id = scene.alice.send_message(scene.bob_jid, "A secret of mine.")
        await scene.alice.wait_receipt(id)
        await scene.talk.ask("unregister", "Send “yes” to go on.")
        await scene.talk.ask("yes", "are deleted")
        assert await _gateway_devices(scene.phone) == 0
        await scene.alice.wait_presence("unsubscribed", sender=GATEWAY)
        assert await scene.gateway.stop() == 0
        tables = scene.query("SELECT name FROM sqlite_schema WHERE type = 'table'")
        # Addresses are of the network, not of a user; the rest names the database itself.
        kept = {"meta", "address", "sqlite_sequence"}
        rows = {
            name: scene.query(f"SELECT count(*) FROM {name}")[0][0]
            for (name,) in tables
            if name not in kept
        }
        assert not any(rows.values()), rows
        await scene.gateway.start()
        await scene.talk.ask("status", "You have no account here")


async def test_the_second_user_of_an_identity_is_refused(house: House) -> None:
    async with house.linked() as scene, house.xmpp_client("mallory") as mallory:
        talk = Talk(mallory, GATEWAY)
        await talk.answer_login(house.synapse.url, scene.phone.user, PASSWORD)
        await talk.hear("is linked by another user of this gateway")
        assert await _gateway_devices(scene.phone) == 1


async def _gateway_devices(phone: MatrixClient) -> int:
    devices = (await phone.request("GET", "devices"))["devices"]
    return sum(device.get("display_name") == "Dragoman" for device in devices)


async def _log_out_all_devices(phone: MatrixClient) -> None:
    """As a user does who has lost one; the phone's own token is gone as well."""
    await phone.request("POST", "logout/all")
    await phone.disconnect()
