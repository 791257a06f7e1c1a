# SPDX-License-Identifier: Apache-2.0
"""A script being played: all of its steps together. What they do is in `tests.scenario.steps`."""

from __future__ import annotations

from tests.scenario.steps.files import FileSteps
from tests.scenario.steps.gateway import GatewaySteps
from tests.scenario.steps.network import NetworkSteps
from tests.scenario.steps.server import ServerSteps
from tests.scenario.steps.vocabulary import VOCABULARY, said

__all__ = ["VOCABULARY", "Play", "said"]


class Play(ServerSteps, NetworkSteps, FileSteps, GatewaySteps):
    """One script being played in a house."""
