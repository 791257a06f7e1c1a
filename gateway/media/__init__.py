# SPDX-License-Identifier: Apache-2.0
"""Files and pictures on their way through the gateway."""
