# SPDX-License-Identifier: Apache-2.0
"""What users tell the gateway itself. One command model; so far with one face, the chat."""
