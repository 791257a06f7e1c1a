# SPDX-License-Identifier: Apache-2.0
"""What all records have in common."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A record is compared and stored by value; its class name is its tag in the journal."""
