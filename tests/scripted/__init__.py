# SPDX-License-Identifier: Apache-2.0
"""A network that a test scripts: so that the core is not written for Matrix alone.

`server` is the network: a small TCP server in the test's process, which outlives a gateway that is
killed. `adapter` is its adapter, loaded like any other.
"""
