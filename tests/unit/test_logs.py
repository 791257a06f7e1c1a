# SPDX-License-Identifier: Apache-2.0
"""What the log says, and what it never says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from gateway.ops.logs import set_up_logs

_SECRET = "hunter-two"


@pytest.fixture
def restored() -> Iterator[None]:
    """The configuration of the logs is put back after the test."""
    before = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def _log_in(answers: dict[str, str]) -> None:
    password = answers["pass" + "word"]
    if password:
        raise RuntimeError("the network is broken")


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("style", ["console", "json"])
def test_a_traceback_has_no_local_variables(
    style: Literal["console", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logs("info", style)
    log = structlog.get_logger("test")
    try:
        _log_in({"password": "".join(_SECRET)})
    except RuntimeError:
        log.exception("task_failed", task="login")
    said = capsys.readouterr().err
    assert "task_failed" in said
    assert "RuntimeError" in said
    assert "the network is broken" in said
    assert "_log_in" in said, "the traceback itself is wanted"
    assert _SECRET not in said
    if style == "json":
        assert json.loads(said)["task"] == "login"
