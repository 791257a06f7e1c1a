# SPDX-License-Identifier: Apache-2.0
"""Which accounts there are, how they begin and end, and what their users have chosen."""

from gateway.bridge.accounts.accounts import Account, Accounts

__all__ = ["Account", "Accounts"]
