"""The command as an admin uses it: two networks, a second instance, a broken file."""

import asyncio
import json

import pytest

from tests.demo.login import Talk
from tests.e2e.house import GATEWAY, OTHER_GATEWAY, PASSWORD, House
from tests.gateway_process import COMMAND, GatewayProcess


async def test_two_networks_are_two_components_of_one_process(house: House) -> None:
    networks = {
        "first": house.network(GATEWAY, name="First"),
        "second": house.network(OTHER_GATEWAY, name="Second"),
    }
    async with house.linked(networks=networks) as scene:
        await scene.chat()
        # The same user with another account, at the other component.
        carol = await house.matrix_client(f"carol-{scene.bob.user}")
        other = Talk(scene.alice, OTHER_GATEWAY)
        await other.log_in(house.synapse.url, carol.user, PASSWORD)
        async with carol:
            bob_there = f"{scene.bob.user}%localhost@{OTHER_GATEWAY}"
            id = scene.alice.send_message(bob_there, "As carol.")
            await scene.alice.wait_receipt(id)
            room = await scene.bob.wait_invite(sender=carol.user_id)
            await scene.bob.join(room)
            assert (await scene.bob.wait_text("As carol.")).sender == carol.user_id
            mark = scene.alice.inbox.mark()
            await scene.bob.send_text(room, "To carol.")
            message = await scene.alice.wait_message("To carol.", since=mark)
            assert message.sender_bare == bob_there
        id = scene.alice.send_message(scene.bob_jid, "As alice.")
        await scene.alice.wait_receipt(id)
        assert (await scene.bob.wait_text("As alice.")).sender == scene.phone.user_id
        assert await scene.gateway.stop() == 0


async def test_a_second_instance_is_refused_with_a_sentence(house: House) -> None:
    async with house.running() as scene:
        second = await asyncio.create_subprocess_exec(
            COMMAND,
            "run",
            "--config",
            scene.gateway.config_file,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await second.communicate()
        assert second.returncode == 1
        assert f"{scene.gateway.database} is in use by" in said.decode()
        assert "Traceback" not in said.decode()
        assert scene.gateway.running
        await scene.ping_gateway()


async def test_check_names_everything_that_is_wrong(house: House) -> None:
    gateway = house.gateway()
    config = json.loads(gateway.config_file.read_text())
    config["xmpp"]["server"]["port"] = "many"
    config["networks"]["matrix"]["domian"] = "x"
    gateway.config_file.write_text(json.dumps(config, indent=1))
    code, out, err = await _dragoman("check", "--config", str(gateway.config_file))
    assert (code, out) == (1, "")
    assert "xmpp.server.port" in err
    assert "domian" in err
    assert "Traceback" not in err
    code, _, same = await _dragoman("run", "--config", str(gateway.config_file))
    assert (code, same) == (78, err)


async def test_check_of_a_good_file(house: House) -> None:
    gateway = house.gateway()
    code, out, err = await _dragoman("check", "--config", str(gateway.config_file))
    assert (code, err) == (0, "")
    assert f"{gateway.config_file} is fine." in out
    assert house.xmpp.components[GATEWAY] not in out
    assert not gateway.database.exists()


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"secret": "wrong"}, "compare the secrets"),
        ({"domain": "unknown.localhost"}, "unknown.localhost"),
    ],
    ids=["secret", "host"],
)
async def test_a_refused_handshake_is_explained_and_tried_again(
    house: House, settings: dict[str, str], advice: str
) -> None:
    gateway = house.gateway({"matrix": {**house.network(GATEWAY), **settings}})
    gateway.launch()
    try:
        await gateway.wait_logged("stream_down", count=2)
        assert gateway.running
        assert "wrong" not in gateway.log_tail()
        (down, *_) = [entry for entry in gateway.log() if entry["event"] == "stream_down"]
        assert advice in down["advice"]
    finally:
        assert await gateway.stop() == 0


async def test_a_port_for_clients_is_named_as_such(house: House) -> None:
    gateway = GatewayProcess(
        house.directory / "gateway",
        component_port=house.xmpp.c2s_port,
        networks={"matrix": house.network(GATEWAY)},
    )
    gateway.launch()
    try:
        await gateway.wait_logged("stream_down")
        (down, *_) = [entry for entry in gateway.log() if entry["event"] == "stream_down"]
        assert "component" in down["advice"], down
    finally:
        assert await gateway.stop() == 0


async def _dragoman(*argv: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        COMMAND, *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
