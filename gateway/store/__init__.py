# SPDX-License-Identifier: Apache-2.0
"""The database: schema, the writer, and one repository module per noun.

All SQL lives here. Functions of the repositories that change something take the `Transaction` of a
unit, so that a unit is composed by whoever knows what belongs together; those that only look
something up take any connection.
"""

from gateway.store.database import Store
from gateway.store.writer import Connection, Transaction

__all__ = ["Connection", "Store", "Transaction"]
