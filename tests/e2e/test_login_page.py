# SPDX-License-Identifier: Apache-2.0
"""The one-time page for a login, in a real browser behind a real web server with https."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.house import PASSWORD, House
from tests.peers.converse import Browser
from tests.peers.ports import free_port
from tests.peers.web_proxy import WebProxy

if TYPE_CHECKING:
    from playwright.async_api import Page


async def _stands_well(page: Page) -> None:
    """Nothing is cut off on a phone, and what is to be touched is large enough."""
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert width == 360
    for box in await page.locator("main *:visible").all():
        found = await box.bounding_box()
        assert found is not None
        assert found["x"] + found["width"] <= width, await box.evaluate("node => node.outerHTML")
    for box in await page.locator("button, input[type=text], input[type=password]").all():
        found = await box.bounding_box()
        assert found is not None
        assert found["height"] >= 40


async def test_req_201_204_205_a_login_in_a_browser(prosody_house: House) -> None:
    house, port = prosody_house, free_port()
    async with WebProxy(house.directory / "proxy", port) as proxy, Browser() as browser:
        public = f"{proxy.url}/chat"
        http = {"public_url": public, "listen": f"127.0.0.1:{port}"}
        env = {"SSL_CERT_FILE": str(proxy.ca_file)}
        async with house.running(http=http, env=env) as scene:
            await scene.gateway.wait_logged("pages_reached")
            offer = await scene.talk.ask("login", "open this page")
            (url,) = re.findall(rf"{re.escape(public)}/login/\S+", offer)
            form = await scene.alice.iq(
                scene.talk.gateway, "<query xmlns='jabber:iq:register'/>", type="get"
            )
            assert f">{url}<" in str(form)
            page = await browser.phone()
            await page.goto(url)
            await page.get_by_label("Homeserver").fill(house.synapse.url)
            await _stands_well(page)
            await page.screenshot(path=house.directory / "login-1.png", full_page=True)
            await page.get_by_role("button", name="Go on").click()
            await page.get_by_label("User name").fill(scene.phone.user)
            await page.get_by_label("Password").fill("wrong")
            await page.get_by_role("button", name="Go on").click()
            await page.get_by_role("alert").wait_for()
            assert await page.get_by_label("Password").input_value() == ""
            await page.screenshot(path=house.directory / "login-2.png", full_page=True)
            await _stands_well(page)
            await page.get_by_role("button", name="Back").click()
            assert await page.get_by_label("Homeserver").input_value() == house.synapse.url
            await page.get_by_role("button", name="Go on").click()
            await page.get_by_label("User name").fill(scene.phone.user)
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Go on").click()
            await page.get_by_text("You can close this page").wait_for()
            await page.screenshot(path=house.directory / "login-3.png", full_page=True)
            await scene.talk.hear("You are logged in as")
            other = await browser.phone()
            answer = await other.goto(url)
            assert answer is not None
            assert answer.status == 403
            await page.go_back()
            assert PASSWORD not in await page.content()
            logged = scene.gateway.log_file.read_text()
            assert url.rpartition("/")[2] not in logged
            assert PASSWORD not in logged
