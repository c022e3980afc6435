"""Runs moto's server on 127.0.0.1, on the given port or on a free one, until standard input is closed.

The test process holds the other end of standard input. The server therefore stops no matter how the test process ends.
"""

import functools
import os
import sys

from moto.core import responses
from moto.moto_server import werkzeug_app
from moto.server import ThreadedMotoServer

# For each request, moto lists its own folder twice to find a host's service, and all members of a class to find an
# action. This takes more than half of its time, and the results never change.
werkzeug_app.DomainDispatcherApplication.get_backend_for_host = functools.cache(
    werkzeug_app.DomainDispatcherApplication.get_backend_for_host
)
responses.method_names_from_class = functools.cache(responses.method_names_from_class)

server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]) if sys.argv[1:] else 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
os._exit(0)
