# SPDX-License-Identifier: Apache-2.0
"""From the network to users: events become rows, and rows are written until they are proved."""
