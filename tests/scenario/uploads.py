# SPDX-License-Identifier: Apache-2.0
"""An upload service (XEP-0363) of our own server, as well-behaved or not as a test wants."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import quote
from xml.etree.ElementTree import Element

from aiohttp import web

from tests.scenario.web import Hosted, WebHost

UPLOAD = "upload.home.example"
_NAMESPACE = "urn:xmpp:http:upload:0"
_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
_REFUSALS = {
    "too-large": f"<error type='modify'><not-acceptable xmlns='{_STANZAS}'/><file-too-large"
    f" xmlns='{_NAMESPACE}'><max-file-size>5</max-file-size></file-too-large></error>",
    "forbidden": f"<error type='auth'><forbidden xmlns='{_STANZAS}'/></error>",
    "away": f"<error type='cancel'><service-unavailable xmlns='{_STANZAS}'/></error>",
}


def _quota(stamp: str) -> str:
    retry = f"<retry xmlns='{_NAMESPACE}' stamp='{stamp}'/>" if stamp else ""
    return f"<error type='wait'><resource-constraint xmlns='{_STANZAS}'/>{retry}</error>"


@dataclass(slots=True)
class FakeUploads:
    """Gives places, and takes files on a free loopback port."""

    host: WebHost
    """Where they are found, below ``/uploads/``."""
    doings: dict[str, deque[str]] = field(default_factory=dict)
    """What it does with the next files of a name, the last of these with all others: ``well``, a
    refusal by name, ``quota`` with a stamp or without one, ``silent``, a status of HTTP for what
    is put, ``cut`` in its middle, ``slow``, or ``held`` until it is let go on."""
    wanted: list[dict[str, str]] = field(default_factory=list)
    """What places were asked for."""
    askers: list[str] = field(default_factory=list)
    """Who has asked for them."""
    files: dict[str, bytes] = field(default_factory=dict)
    """By name."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of the last file."""
    address: str = ""
    """Under which it says that they are found, if that is somewhere else."""
    port: int = 0
    _doing: dict[str, str] = field(default_factory=dict)
    """With what is put where."""
    _let_go: set[str] = field(default_factory=set)
    """Names of files."""
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_put("/{number}/{name}", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Cut everything."""
        self._over.set()
        self._moved.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def answer(self, request: Element) -> str | None:
        """What is said to somebody who wants a place."""
        asked = request.find(f"{{{_NAMESPACE}}}request")
        assert asked is not None
        self.wanted.append(dict(asked.attrib))
        self.askers.append(request.get("from", ""))
        name = asked.get("filename", "")
        doings = self.doings.get(name, deque(["well"]))
        doing, _, stamp = (doings.popleft() if len(doings) > 1 else doings[0]).partition(" ")
        to = f"from='{UPLOAD}' to='{request.get('from')}' id='{request.get('id')}'"
        if doing == "silent":
            return None
        if doing == "quota" or doing in _REFUSALS:
            error = _quota(stamp) if doing == "quota" else _REFUSALS[doing]
            return f"<iq type='error' {to}>{error}</iq>"
        path = f"/{len(self.wanted)}/{name}"
        self._doing[path] = doing
        put = f"http://127.0.0.1:{self.port}{quote(path)}"
        get = f"{self.address or self.host.base + '/uploads'}/{quote(name)}"
        return (
            f"<iq type='result' {to}><slot xmlns='{_NAMESPACE}'>"
            f"<put url='{put}'><header name='Authorization'>Bearer\n it</header>"
            f"<header name='X-Other'>no</header></put><get url='{get}'/></slot></iq>"
        )

    def answer_as(self, wrapped: Element, user: str) -> str:
        """The same, as the server of a user passes it on who is asked in their name."""
        (request,) = wrapped.iter("{jabber:client}iq")
        request.set("from", user)
        answer = self.answer(request)
        assert answer is not None
        inner = answer.replace("<iq ", "<iq xmlns='jabber:client' ", 1)
        return (
            f"<iq type='result' from='{user}' to='{wrapped.get('from')}' id='{wrapped.get('id')}'>"
            "<privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>"
            f"{inner}</forwarded></privilege></iq>"
        )

    def go_on(self, name: str) -> None:
        """Take a file that is held, and those of this name that come."""
        self._let_go.add(name)
        self._moved.set()

    async def _take(self, request: web.Request) -> web.Response:
        doing = self._doing.get(request.path, "")
        if doing == "slow":
            await self._over.wait()
        while doing == "held" and request.match_info["name"] not in self._let_go:
            self._moved.clear()
            await self._moved.wait()
            if self._over.is_set():
                break
        if doing.isdigit():
            return web.Response(status=int(doing))
        if doing == "cut" and request.transport is not None:
            await request.content.read(1)
            request.transport.abort()
        try:
            data = await request.read()
        except ConnectionError:  # whoever sent it is dead
            return web.Response(status=400)
        name = request.match_info["name"]
        self.files[name], self.host.files[f"/uploads/{quote(name)}"] = data, Hosted(data)
        self.headers = dict(request.headers)
        return web.Response(status=201)
