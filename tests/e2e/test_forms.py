"""Commands and registration by forms, as slixmpp's own plugins see them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from slixmpp.exceptions import IqError

from tests.demo.login import Talk
from tests.e2e.house import GATEWAY, PASSWORD, House, Scene
from tests.peers.xmpp_client import XmppClient

_PLUGINS = ("xep_0004", "xep_0050", "xep_0066", "xep_0077")


@asynccontextmanager
async def forms_client(house: House, scene: Scene) -> AsyncIterator[XmppClient]:
    """Another device of alice's, which knows forms."""
    user = scene.alice.bare.partition("@")[0]
    async with house.xmpp_client(user, resource="forms", plugins=_PLUGINS) as client:
        yield client


def filled(form: Any, **values: str) -> Any:
    """A form as slixmpp answers it."""
    assert set(values) <= set(form.get_fields(use_dict=True))
    form.reply()
    form.set_values(values)
    return form


async def give(client: XmppClient, node: str, **more: Any) -> Any:
    """Give a command; the element of the answer."""
    reply = await client.plugin("xep_0050").send_command(GATEWAY, node, **more)
    return reply["command"]


async def offered(client: XmppClient) -> set[str]:
    """The nodes of the commands that are listed."""
    items = await client.plugin("xep_0050").get_commands(GATEWAY)
    return {node for _, node, _ in items["disco_items"]["items"]}


def note(command: Any) -> str:
    """What a command says at its end."""
    return " ".join(said for _, said in command["notes"])


async def test_req_214_an_account_is_linked_and_left_by_commands(house: House) -> None:
    async with house.running() as scene, forms_client(house, scene) as client:
        assert await offered(client) == {"register"}
        command = await give(client, "register")
        session = command["sessionid"]
        assert (command["status"], command["actions"]) == ("executing", {"next"})
        where = filled(command["form"], homeserver=house.synapse.url, method="password")
        command = await give(client, "register", sessionid=session, action="next", payload=where)
        assert command["actions"] == {"next", "prev"}
        fields = command["form"].get_fields(use_dict=True)
        assert fields["password"]["type"] == "text-private"
        wrong = filled(command["form"], username=scene.phone.user, password="wrong")
        command = await give(client, "register", sessionid=session, action="next", payload=wrong)
        assert "does not accept this user name and password" in note(command)
        command = await give(client, "register", sessionid=session, action="prev")
        assert command["form"].get_values()["homeserver"] == house.synapse.url
        command = await give(client, "register", sessionid=session, action="next", payload=where)
        right = filled(command["form"], username=scene.phone.user, password=PASSWORD)
        command = await give(client, "register", sessionid=session, action="next", payload=right)
        assert command["status"] == "completed"
        assert note(command).startswith(f"You are logged in as {scene.phone.user_id}. Encrypted")

        account = {"status", "settings", "encryption", "logout", "unregister"}
        people = {"about", "contacts", "import", "block", "unblock", "blocked", "report"}
        rooms = {"rooms", "search", "join", "decline", "knocks", "leave", "create", "destroy"}
        both = {"members", "invite", "mute", "unmute", "history", "vote"}
        linked = account | people | rooms | both
        assert await offered(client) == linked
        command = await give(client, "unregister")
        sure = filled(command["form"], sure="1")
        command = await give(
            client, "unregister", sessionid=command["sessionid"], action="complete", payload=sure
        )
        assert command["status"] == "completed"
        await scene.alice.wait_presence("unavailable", sender=GATEWAY)
        assert await offered(client) == {"register"}
        assert PASSWORD not in scene.gateway.log_file.read_text()


async def test_req_205_209_an_account_is_registered_and_removed_by_form(house: House) -> None:
    async with house.running() as scene, forms_client(house, scene) as client:
        plugin = client.plugin("xep_0077")
        register = (await plugin.get_registration(GATEWAY))["register"]
        assert not register["registered"]
        assert {"username", "password"} <= set(register["fields"])
        iq = plugin.xmpp.make_iq_set(ito=GATEWAY)
        iq["register"].append(
            filled(
                register["form"],
                homeserver=house.synapse.url,
                username=scene.phone.user,
                password=PASSWORD,
            )
        )
        assert (await iq.send())["type"] == "result"
        await scene.talk.hear(f"You are logged in as {scene.phone.user_id}")
        await scene.alice.wait_presence("subscribe", sender=GATEWAY)
        register = (await plugin.get_registration(GATEWAY))["register"]
        assert register["registered"]
        assert register["username"] == scene.phone.user_id
        assert not register["password"]
        assert (await plugin.cancel_registration(GATEWAY))["type"] == "result"
        await scene.alice.wait_presence("unavailable", sender=GATEWAY)
        assert scene.query("SELECT count(*) FROM account") == [(0,)]
        with pytest.raises(IqError) as caught:
            await plugin.cancel_registration(GATEWAY)
        assert caught.value.condition == "registration-required"


async def test_a_session_is_linked_with_an_access_token(house: House) -> None:
    async with house.running() as scene:
        talk: Talk = scene.talk
        await talk.ask("login", "Homeserver?")
        await talk.ask(house.synapse.url, "How do you want to log in?")
        await talk.ask("2", "Access token?")
        await talk.ask("no token", "does not accept this access token")
        await talk.hear("Access token?")
        talk.say(scene.phone.token, shown="…")
        await talk.hear(f"You are logged in as {scene.phone.user_id}")
        await talk.ask("logout", "You are logged out")
