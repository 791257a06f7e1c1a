# SPDX-License-Identifier: Apache-2.0
"""What a homeserver refuses → the error tree of the gateway.

Matrix spec, client-server API, "Standard error response". This is the only place of the adapter
that knows error codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

from adapters.matrix.text import clean
from gateway.adapter import PrivateAddress
from gateway.errors import (
    AdapterError,
    AuthExpired,
    Forbidden,
    NotFound,
    RateLimited,
    TooLarge,
    Transient,
    Unsupported,
)
from gateway.text.wording import joined, tr

_DEFAULT_WAIT_S = 5.0
_MAX_WAIT_S = 600.0


class Refusal(Exception):
    """An error answer as it came: the ``__cause__`` of what `error_of` returns."""

    def __init__(self, status: int, errcode: str) -> None:
        super().__init__(f"{status} {errcode}".strip())
        self.status = status
        self.errcode = errcode


def _login_again(_: str) -> AdapterError:
    return AuthExpired(tr("The homeserver no longer accepts this login: it was ended there."))


def _said(kind: type[AdapterError], sentence: str) -> Callable[[str], AdapterError]:
    return lambda said: kind(joined((sentence, tr("It says: {said}", said=said) if said else "")))


_BY_CODE: Mapping[str, Callable[[str], AdapterError]] = {
    "M_UNKNOWN_TOKEN": _login_again,
    "M_MISSING_TOKEN": _login_again,
    "M_USER_DEACTIVATED": _said(Forbidden, tr("This Matrix account has been deactivated.")),
    "M_USER_LOCKED": _said(Forbidden, tr("The homeserver has locked this Matrix account.")),
    "M_USER_SUSPENDED": _said(Forbidden, tr("The homeserver has suspended this Matrix account.")),
    "M_CONSENT_NOT_GIVEN": _said(
        Forbidden,
        tr(
            "The homeserver wants its terms accepted first, in another Matrix client.",
        ),
    ),
    "M_TOO_LARGE": _said(TooLarge, tr("The message is too long for Matrix.")),
    "M_UNRECOGNIZED": _said(Unsupported, tr("The homeserver does not know how to do this.")),
    "M_RESOURCE_LIMIT_EXCEEDED": _said(Transient, tr("The homeserver has reached a limit.")),
}
_BY_STATUS: Mapping[int, Callable[[str], AdapterError]] = {
    401: _said(Forbidden, tr("The homeserver refused this.")),
    403: _said(Forbidden, tr("The homeserver refused this.")),
    404: _said(NotFound, tr("The homeserver does not know this person or room.")),
    408: _said(Transient, tr("The homeserver was too slow.")),
    413: _said(TooLarge, tr("The message is too long for Matrix.")),
}
_server_trouble = _said(Transient, tr("The homeserver has a problem at the moment."))
_other_refusal = _said(Unsupported, tr("The homeserver refused this."))


def error_of(status: int, answer: Mapping[str, Any], headers: Mapping[str, str]) -> AdapterError:
    """The error for a JSON answer that is not a success."""
    code = answer.get("errcode")
    code = code if isinstance(code, str) else ""
    said = answer.get("error")
    said = clean(said, 200).replace("\n", " ") if isinstance(said, str) else ""
    error: AdapterError
    if code == "M_LIMIT_EXCEEDED" or status == 429:
        error = rate_limited(answer, headers)
    elif code in _BY_CODE:
        error = _BY_CODE[code](said)
    elif status >= 500:
        error = _server_trouble(said)
    else:
        error = _BY_STATUS.get(status, _other_refusal)(said)
    error.__cause__ = Refusal(status, code)
    return error


def not_matrix(status: int, headers: Mapping[str, str]) -> AdapterError:
    """The error for an answer that is no JSON object: a proxy's page, or another program's."""
    error: AdapterError
    if status == 429:
        error = rate_limited({}, headers)
    elif status == 413:
        error = TooLarge(tr("The message is too long for the homeserver."))
    elif 300 <= status < 400:
        error = Transient(
            tr("The homeserver answered with a redirection (HTTP {status}).", status=status)
        )
    else:
        html = "html" in headers.get("Content-Type", "").lower()
        what = tr("a web page") if html else tr("something else")
        error = Transient(
            tr(
                "The homeserver answered with {what} instead of Matrix data "
                "(HTTP {status}). It may be down, or the address may not be that "
                "of a homeserver.",
                what=what,
                status=status,
            )
        )
    error.__cause__ = Refusal(status, "")
    return error


def rate_limited(answer: Mapping[str, Any], headers: Mapping[str, str]) -> RateLimited:
    """Spec, "Rate limiting": the header, else the older ``retry_after_ms``."""
    seconds = _retry_after_header(headers.get("Retry-After", ""))
    if seconds is None:
        milliseconds = answer.get("retry_after_ms")
        if isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool):
            seconds = min(_MAX_WAIT_S * 1000, milliseconds) / 1000
    wait = _DEFAULT_WAIT_S if seconds is None else seconds
    return RateLimited(
        tr("The homeserver asks us to wait: too many requests."),
        retry_after_s=min(max(wait, 0.0), _MAX_WAIT_S),
    )


def _retry_after_header(value: str) -> float | None:
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    return None


def unreachable(host: str, error: BaseException) -> AdapterError:
    """The error for a request that got no answer."""
    if isinstance(error, PrivateAddress) or isinstance(
        getattr(error, "os_error", None), PrivateAddress
    ):
        return Forbidden(
            tr(
                "{host} is an address of a private network. The admin of this "
                "gateway does not allow homeservers there.",
                host=host,
            )
        )
    if isinstance(error, TimeoutError):
        never_connected = isinstance(error, aiohttp.ConnectionTimeoutError)
        return Transient(
            tr("{host} did not answer in time.", host=host), is_certain=never_connected
        )
    if isinstance(error, aiohttp.ClientSSLError):
        return Transient(
            tr("{host} has no valid certificate, or does not speak https there.", host=host),
            is_certain=True,
        )
    never_connected = isinstance(error, aiohttp.ClientConnectorError)
    return Transient(tr("{host} cannot be reached.", host=host), is_certain=never_connected)


@contextmanager
def in_words(forbidden: str, gone: str) -> Iterator[None]:
    """Put a sentence before what a homeserver says that the user may not, or that is not there."""
    try:
        yield
    except Forbidden as error:
        raise Forbidden(joined((forbidden, error.text))) from error
    except NotFound as error:
        raise NotFound(
            tr("{gone} is not there any more. {text}", gone=gone, text=error.text)
        ) from error


def status_of(error: AdapterError) -> int | None:
    """The HTTP status behind an error, if there was an answer."""
    return error.__cause__.status if isinstance(error.__cause__, Refusal) else None


def code_of(error: AdapterError) -> str:
    """The Matrix error code behind an error, or the empty string."""
    return error.__cause__.errcode if isinstance(error.__cause__, Refusal) else ""
