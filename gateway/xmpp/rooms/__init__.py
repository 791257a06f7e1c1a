# SPDX-License-Identifier: Apache-2.0
"""Rooms as XEP-0045 has them."""
