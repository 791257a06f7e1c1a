# SPDX-License-Identifier: Apache-2.0
"""The supervised connections of accounts to the network."""
