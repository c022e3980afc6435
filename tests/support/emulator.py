"""Runs moto's server on a free port of 127.0.0.1 until standard input is closed.

The test process holds the other end of standard input. The server therefore stops no matter how the test process ends.
"""

import os
import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
os._exit(0)
