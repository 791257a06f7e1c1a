# SPDX-License-Identifier: Apache-2.0
"""The networks that come with Dragoman, one package each."""

__dragoman__ = True
