# SPDX-License-Identifier: Apache-2.0
"""From users to the network: what they want becomes a command, tried until its fate is known."""
