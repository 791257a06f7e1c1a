# SPDX-License-Identifier: Apache-2.0
"""Set-up shared by all tests."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests counted: how much was killed, lost without a receipt, repeated."""
    counted = [
        (report.nodeid, report.user_properties)
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and report.user_properties
    ]
    if counted:
        terminalreporter.section("counted")
        for test, properties in sorted(counted):
            counts = ", ".join(f"{name} {value}" for name, value in properties)
            terminalreporter.write_line(f"{test}: {counts}")
