# SPDX-License-Identifier: Apache-2.0
"""The one-time page for a login, as browsers get it (REQ-204).

A look at it changes nothing, so that previews of links do no harm. The first answer makes it the
page of one browser, which it knows by a cookie.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.adapter import Clock
from gateway.locale import in_language
from gateway.tasks import within
from gateway.text.wording import tr
from gateway.web import forms, html
from gateway.web.server import said, wanted
from gateway.xmpp.console.model import Note
from gateway.xmpp.console.page import Page, Pages
from gateway.xmpp.console.stages import Outcome
from gateway.xmpp.limits import Buckets, Rate

_COOKIE = "__Host-visitor"
"""Browsers take one of this name from this very host alone, by https."""
_LONGEST_COOKIE = 100
_BODY_S = 10.0
_AGAIN_S = 2
_ANSWERS = Rate(60, 60)
"""To one page."""
_WRONG = Rate(300, 60)
"""Addresses of pages that are none, of everybody together: nobody guesses one in any case."""
_FORM = "application/x-www-form-urlencoded"
_NO_PAGE = tr(
    "This page does not exist, or not any more: it is there for ten minutes, "
    "and for one login.\nSend “login” to the gateway in your chat app for a "
    "new one.",
)
_ELSEWHERE = tr(
    "This page was opened in another browser, and belongs to that one "
    "now.\nIf that was not you, somebody else can read your chats: do not go "
    "on there, and send “login” to the gateway for a new page.",
)
_NO_COOKIE = tr("Please allow cookies of this site, and open the page again.")
_STRANGE = tr("This did not come from the page itself. Please open it again.")


class LoginPages:
    """Answers for the one-time pages."""

    def __init__(self, pages: Pages, clock: Clock, origin: str) -> None:
        self._pages = pages
        self._clock = clock
        self._origin = origin
        self._answers, self._wrong = Buckets(_ANSWERS), Buckets(_WRONG)

    @property
    def routes(self) -> tuple[tuple[str, str, Handler], ...]:
        """Method, path and handler of each."""
        path = "/login/{token}"
        return (("GET", path, self._show), ("HEAD", path, self._show), ("POST", path, self._take))

    def _page(self, request: web.Request) -> Page:
        page = self._pages.find(request.match_info["token"])
        if page is None:
            if not self._wrong.take("", self._clock.monotonic()):
                raise web.HTTPTooManyRequests
            raise _Refused(_NO_PAGE, 404)
        if not page.is_for(_visitor(request)):
            raise _Refused(_ELSEWHERE, 403, page)
        refused = page.refusal()
        if refused:
            raise _Refused(refused, 403, page)
        return page

    async def _show(self, request: web.Request) -> web.Response:
        try:
            page = self._page(request)
            refused = await page.look()
            if refused:
                raise _Refused(refused, 503, page)
            page = self._page(request)  # it may be another's by now
        except _Refused as refused_:
            return refused_.shown(request)
        answer = web.Response(text=_shown(page), content_type="text/html")
        if not _visitor(request):
            _set_visitor(answer)
        return answer

    async def _take(self, request: web.Request) -> web.Response:
        try:
            page, sent = await self._sent(request)
        except _Refused as refused:
            return refused.shown(request)
        number, action = sent.get(forms.STAGE, ""), sent.get(forms.ACTION, "")
        if number.isascii() and number.isdigit() and len(number) < _LONGEST_COOKIE:
            answers = forms.submitted(page.stage, sent)
            page.answer(_visitor(request), int(number), action, answers)
        await page.look()
        raise web.HTTPSeeOther(request.path)

    async def _sent(self, request: web.Request) -> tuple[Page, Mapping[str, str]]:
        """What a form of ours has sent, from the browser whose page it is."""
        if request.headers.get("Origin", self._origin) != self._origin:
            raise _Refused(_STRANGE, 403)
        page = self._page(request)
        if not _visitor(request):
            raise _Refused(_NO_COOKIE, 403, page)
        if not self._answers.take(page.token, self._clock.monotonic()):
            raise web.HTTPTooManyRequests
        if request.content_type != _FORM:
            raise web.HTTPUnsupportedMediaType
        try:
            sent = await within(self._clock, _BODY_S, request.post())
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (ValueError, LookupError):  # not text, or of an encoding that there is not
            raise web.HTTPBadRequest from None
        page = self._page(request)  # reading takes time, and somebody may have been quicker
        return page, {key: value for key, value in sent.items() if isinstance(value, str)}


class _Refused(Exception):
    """There is nothing to see, and why."""

    def __init__(self, words: str, status: int, page: Page | None = None) -> None:
        super().__init__(words)
        self._words, self._status, self._page = words, status, page

    def shown(self, request: web.Request) -> web.Response:
        """In the language of whose page it is, or else in that of the browser."""
        language = wanted(request) if self._page is None else self._page.language
        return said(self._words, status=self._status, language=language)


def _visitor(request: web.Request) -> str:
    visitor = request.cookies.get(_COOKIE, "")
    return visitor if visitor.isascii() and len(visitor) <= _LONGEST_COOKIE else ""


def _set_visitor(answer: web.Response) -> None:
    # Lax: whoever follows the link again is known, and other sites send no forms with it.
    answer.set_cookie(
        _COOKIE, secrets.token_urlsafe(16), secure=True, httponly=True, samesite="Lax", path="/"
    )


def _shown(page: Page) -> str:
    stage, language = page.stage, page.language
    if page.outcome is not Outcome.RUNNING:
        return html.page(*_end(page), language=language)
    if stage is None:
        words = tr(
            "Waiting for {network} … This page looks again by itself.", network=page.network
        )
        waiting = html.paragraphs(in_language(words, language))
        title = in_language(tr("One moment"), language)
        return html.page(title, [waiting], again_s=_AGAIN_S, language=language)
    said = tr(
        "Whoever logs in here does so for {user}. If that is not your own "
        "address, close this page."
    )
    user = html.tag("strong", html.text(page.user))
    whose = in_language(said.format(user=user), language)
    parts = [html.tag("p", whose, class_="whose"), forms.form(stage, language)]
    return html.page(in_language(stage.form.title, language), parts, language=language)


def _end(page: Page) -> tuple[str, list[str]]:
    """Title and parts of the page when all is over."""
    title, parts = _said_at_end(page)
    close = tr("You can close this page and go back to your chat app.")
    soft = html.paragraphs(in_language(close, page.language), class_="soft")
    return in_language(title, page.language), [*parts, soft]


def _said_at_end(page: Page) -> tuple[str, list[str]]:
    if page.outcome is Outcome.CANCELED:
        nothing = in_language(tr("Nothing was changed."), page.language)
        return tr("Cancelled"), [html.paragraphs(nothing)]
    if page.outcome is Outcome.EXPIRED:
        return tr("Too late"), [html.paragraphs(in_language(_NO_PAGE, page.language))]
    notes = [
        html.paragraphs(text, class_="wrong" if note is Note.ERROR else "note")
        for note, text in page.notes
    ]
    failed = any(note is Note.ERROR for note, _ in page.notes)
    return (tr("That did not work") if failed else tr("Done")), notes
