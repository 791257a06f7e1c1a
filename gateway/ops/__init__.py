# SPDX-License-Identifier: Apache-2.0
"""Running it: logs, later health and metrics."""
