"""What Python runs before wstest, as the folder of this file is in PYTHONPATH: `wstest -m fuzzingserver` listens on every
interface, on a port that is known beforehand, and does not say when. Here it listens on the loopback interface only, on
any port if it is to use port 0, and says so."""

from __future__ import print_function

import sys

from twisted.internet.tcp import Port

listen = Port.startListening


def listen_on_loopback(port):
    port.interface = port.interface or "127.0.0.1"
    listen(port)
    print("listening on port %d" % port.getHost().port)
    sys.stdout.flush()


Port.startListening = listen_on_loopback
