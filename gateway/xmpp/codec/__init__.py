# SPDX-License-Identifier: Apache-2.0
"""Between XML and records: parsed elements in, text out."""
