# SPDX-License-Identifier: Apache-2.0
"""Who is there, on either side: the parts that know it; `attendance` puts them together.

================  ============================================================================
``audience``      which users are there, as far as their servers tell; ``devices`` of one user
``presence``      what each user is shown of each contact; ``snapshot`` saves it
``directed``      to whom a device has shown itself without a subscription
``waves``         paces what is shown
``publishing``    what the network is told of a user
``following``     connects accounts only while their users are there, if they want that
================  ============================================================================
"""
