"""A web server with https that passes everything on, as an admin has one before the gateway."""

import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from .certificates import CertificateFiles
from .ports import LOOPBACK, free_port

_NOT_PASSED_ON = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class WebProxy:
    """Speaks https with a certificate of an authority of its own, and http to a port."""

    def __init__(self, directory: Path, port: int) -> None:
        """Certificates go to `directory`; what comes goes to `port`."""
        self._files = CertificateFiles(directory, "localhost")
        self._to = f"http://{LOOPBACK}:{port}"
        self._port = free_port()
        self._http: aiohttp.ClientSession
        self._runner: web.AppRunner

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://{LOOPBACK}:{self._port}"

    @property
    def ca_file(self) -> Path:
        """What has to be trusted to believe it."""
        return self._files.ca

    async def __aenter__(self) -> Self:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._files.certificate, self._files.key)
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._port, ssl_context=context).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
        await self._http.close()

    async def _pass_on(self, request: web.Request) -> web.Response:
        kept = [(k, v) for k, v in request.headers.items() if k.lower() not in _NOT_PASSED_ON]
        try:
            async with self._http.request(
                request.method,
                f"{self._to}{request.rel_url}",
                headers=kept,
                data=await request.read(),
                allow_redirects=False,
                auto_decompress=False,
            ) as answer:
                headers = [
                    (k, v) for k, v in answer.headers.items() if k.lower() not in _NOT_PASSED_ON
                ]
                found = web.Response(status=answer.status, body=await answer.read())
        except aiohttp.ClientConnectionError:
            return web.Response(status=502)
        found.headers.clear()
        found.headers.extend(headers)
        return found
