# SPDX-License-Identifier: Apache-2.0
"""What the contract of `gateway.adapter` means: one suite that every adapter passes.

`peer` says what a test needs of a network, and each network has its own; `account` is the
gateway's side. To test another adapter, write its peer and add it to ``PEERS`` in ``conftest``.
"""
