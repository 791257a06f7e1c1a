# SPDX-License-Identifier: Apache-2.0
"""Listening, and what all answers have in common."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from functools import partial
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.config.values import WebAddress
from gateway.errors import GatewayError
from gateway.locale import ENGLISH, chosen, in_language, said_in
from gateway.text.wording import tr
from gateway.web import html

log = structlog.get_logger("web")

_MOST_BYTES = 64 * 1024
"""Of a request: forms are small."""
_STOP_S = 2.0
_IDLE_S = 30.0
"""For which a connection is kept after an answer."""
_LONGEST_LANGUAGES = 500
_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": html.POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The address of a page is a secret; to itself a page may say where it comes from.
    "Referrer-Policy": "same-origin",
    "Server": "Dragoman",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
_OF_ERRORS = {
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
    "Allow",
    "Content-Range",
    "Cross-Origin-Resource-Policy",
    "Retry-After",
}
"""What a handler may say with an error."""
_WORDS = {
    400: tr("This cannot be understood."),
    403: tr("This is not allowed."),
    404: tr("There is nothing at this address."),
    405: tr("This cannot be done with this page."),
    408: tr("That took too long. Please try again."),
    413: tr("That was too much."),
    415: tr("A form of this page is expected."),
    421: tr("There is nothing at this address."),
    429: tr("That was too often. Please wait a minute."),
}


class WebServer:
    """Answers what the admin's web server passes on."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._handlers: dict[tuple[str, str], dict[str, Handler]] = {}
        """By method and path, and by the host under which people come."""
        self._hosts: set[str] = set()
        self._app = web.Application(middlewares=[_in_words], client_max_size=_MOST_BYTES)
        self._app.on_response_prepare.append(_add_headers)
        self._runner = web.AppRunner(
            self._app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=_IDLE_S,
            shutdown_timeout=_STOP_S,
        )

    def add(self, address: WebAddress, routes: Iterable[tuple[str, str, Handler]]) -> None:
        """Method, path and handler of each, under an address at which people find them."""
        self._hosts.add(address.host)
        for method, path, handler in routes:
            where = method, f"{address.path}{path}"
            if where not in self._handlers:
                self._handlers[where] = {}
                self._app.router.add_route(*where, partial(self._answered, self._handlers[where]))
            self._handlers[where][address.host] = handler

    def add_nonce(self, address: WebAddress) -> str:
        """Something at that address by which this process knows itself."""
        nonce = secrets.token_urlsafe(16)

        async def alive(_: web.Request) -> web.Response:
            return web.Response(text=nonce)

        self.add(address, [("GET", "/alive", alive), ("HEAD", "/alive", alive)])
        return nonce

    async def start(self) -> None:
        """Listen. Raises `GatewayError`."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            said = (error.strerror or str(error)).lower()
            raise GatewayError(
                f"http.listen: cannot listen on {self._host} port {self._port}: {said}"
            ) from None
        log.info("web_listening", host=self._host, port=self._port)

    async def stop(self) -> None:
        """Answer what is under way, and close."""
        await self._runner.cleanup()

    async def _answered(
        self, handlers: Mapping[str, Handler], request: web.Request
    ) -> web.StreamResponse:
        """Where all is at one host, a web server need not say under which one it was asked."""
        try:
            came = urlsplit(f"//{request.host}").hostname or ""
        except ValueError:
            came = ""
        host = came if len(self._hosts) > 1 else next(iter(handlers))
        if host not in handlers:
            raise web.HTTPMisdirectedRequest
        return await handlers[host](request)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = _HEADERS["Server"]


@web.middleware
async def _in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors are pages too."""
    try:
        return await handler(request)
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        words = _WORDS.get(error.status, error.reason)
        answer = said(words, status=error.status, language=wanted(request))
        for name in error.headers.keys() & _OF_ERRORS:
            answer.headers[name] = error.headers[name]
        return answer
    except Exception:  # costs this request; its address may be a secret
        log.exception("web_request_failed", method=request.method)
        failed = tr("Something went wrong in the gateway. Please try again.")
        return said(failed, status=500, language=wanted(request))


def wanted(request: web.Request) -> str:
    """The language of a browser, of those that the gateway speaks (RFC 9110 §12.5.4)."""
    found: dict[str, float] = {}
    for part in request.headers.get("Accept-Language", "")[:_LONGEST_LANGUAGES].split(","):
        tag, _, weight = part.partition(";")
        language, weighed = chosen(tag.strip()), _WEIGHT.fullmatch(weight.strip() or "q=1")
        if language is not None and weighed is not None and float(weighed[1]) > 0:
            found[language] = max(float(weighed[1]), found.get(language, 0))
    return max(found, key=found.__getitem__, default=ENGLISH)


def said(words: str, *, status: int = 200, language: str = ENGLISH) -> web.Response:
    """A page that says why there is nothing else."""
    told = said_in(words, language)
    title = in_language(tr("Sorry"), told.language)
    shown = html.page(title, [html.paragraphs(told.text)], language=told.language)
    return web.Response(text=shown, content_type="text/html", status=status)
