# SPDX-License-Identifier: Apache-2.0
"""Errors as the Bot API answers them."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is not ok; `error_code` is the status of HTTP too."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        """`parameters` are those of ResponseParameters."""
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters

    def json(self) -> dict[str, Any]:
        """What is answered."""
        answer: dict[str, Any] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        if self.parameters:
            answer["parameters"] = self.parameters
        return answer


class Misuse(ApiError):
    """Something that the vendor's documents do not allow; nobody's gateway should send it."""

    def __init__(self, why: str) -> None:
        """Say what is wrong with it."""
        super().__init__(400, f"Bad Request: {why}")


def bad(why: str) -> ApiError:
    """The usual one: the request is wrong."""
    return ApiError(400, f"Bad Request: {why}")


def forbidden(why: str) -> ApiError:
    """The bot may not do that, or no longer."""
    return ApiError(403, f"Forbidden: {why}")


def too_many(retry_after: int) -> ApiError:
    """The bot has to wait, in seconds."""
    words = f"Too Many Requests: retry after {retry_after}"
    return ApiError(429, words, retry_after=retry_after)
