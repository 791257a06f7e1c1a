# SPDX-License-Identifier: Apache-2.0
"""What all processes of the gateway read, once for all who are forked: the catalogues are half of
what a start costs."""

from __future__ import annotations

from gateway import locale
from gateway.registry import adapter_class
from tests.scenario.house import ADAPTERS

_made = {name: lambda made=made: made for name, made in ADAPTERS.items()}
for _name in _made:
    adapter_class(_name, _made)
locale.prepare()
