"""Runs moto on 127.0.0.1, on the given port or on a free one, until standard input is closed.

The test process holds the other end of standard input. The server therefore stops no matter how the test process ends.
"""

import asyncio
import functools
import gc
import logging
import os
import sys

# No browser calls it. moto reads this variable when it is imported.
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"

from moto.core import responses
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.wsgi import WSGIContainer

# For each request, moto lists its own folder twice to find a host's service, and all members of a class to find an
# action. This takes more than half of its time, and the results never change.
DomainDispatcherApplication.get_backend_for_host = functools.cache(DomainDispatcherApplication.get_backend_for_host)
responses.method_names_from_class = functools.cache(responses.method_names_from_class)
# moto draws each of the 52 characters of a request ID at random. The layer over it replaces the ID anyway.
responses.gen_amzn_requestid_long = lambda headers: headers.setdefault("x-amzn-requestid", "0" * 52)


async def serve(port):
    # moto's own server starts a thread for each connection, and its threads wait for each other. One thread answers a
    # request in less than half of the time.
    server = HTTPServer(WSGIContainer(DomainDispatcherApplication(create_backend_app)))
    sockets = bind_sockets(port, "127.0.0.1")
    server.add_sockets(sockets)
    # With its defaults, the garbage collector takes a fifth of the time. It looks mostly at what moto has imported.
    gc.freeze()
    gc.set_threshold(50_000)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


# Tornado would log each request that moto rejects.
logging.getLogger("tornado.access").disabled = True
asyncio.run(serve(int(sys.argv[1]) if sys.argv[1:] else 0))
