# SPDX-License-Identifier: Apache-2.0
"""Files of networks, on their way to users. `gateway.bridge.outbound` has those that users send.

=============  ===============================================================================
``told``       what users are told of them: an address of the gateway, or words
``downloads``  fetches them from the network, for whoever comes to such an address
``slots``      asks that for places, in whose name it may
``putting``    puts them at the upload service of the server, where the admin wants that
``uploads``    what is told when they are there, and what waits for them
=============  ===============================================================================
"""
