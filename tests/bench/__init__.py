# SPDX-License-Identifier: Apache-2.0
"""``make bench``: how fast the gateway is on this machine. Nothing here asserts a time.

`docs/developer/benchmarks.md` says what each figure means.
"""
