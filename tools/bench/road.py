"""A TCP proxy that delivers everything a client sends 50 ms later, and records each request.

It forwards bytes unchanged, keeps connections open as long as both ends do, and makes no request wait for another. It
delays WebSocket messages like HTTP requests, but does not delay opening a connection.
"""

import asyncio
import contextlib
import re
import threading
import time

DELAY_SECONDS = 0.050
HTTP = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n")
# The name of the AWS call: in the form body (IAM, STS) or in a header (Secrets Manager).
ACTION = re.compile(rb"(?:\bAction=|x-amz-target: *\w+\.)(\w+)", re.IGNORECASE)
# The first byte of WebSocket frames that are not messages: close, ping, pong.
CLOSE, PING, PONG = 0x88, 0x89, 0x8A


class Request:
    """An HTTP request or a WebSocket message. It ends with the last response before the connection's next request."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.is_message = name == "message"
        self.began = self.ended = time.monotonic()

    def __str__(self):
        return f"{self.server} {self.name}"


class SlowNetwork:
    """Opens delayed ports in front of servers, and records all requests that were sent through them since `forget`."""

    def __init__(self, host, delay=DELAY_SECONDS):
        self.requests = []
        self._host = host
        self._delay = delay
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def port_for(self, name, port):
        """Opens a port that forwards to `port` with the delay, and returns it."""
        connected = lambda reader, writer: self._connected(name, port, reader, writer)
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(connected, self._host, 0), self._loop).result()
        return server.sockets[0].getsockname()[1]

    def forget(self):
        self.requests = []

    def round_trips(self):
        """The longest chain of sequential requests: each began after the response to the one before."""
        chain = []
        for request in sorted(self.requests, key=lambda request: request.ended):
            if not chain or request.began >= chain[-1].ended:
                chain.append(request)
        return chain

    def close(self):
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2)

    async def _end(self):
        """Stops forwarding. A connection may outlive the client that opened it."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, name, port, client, to_client):
        server, to_server = await asyncio.open_connection(self._host, port)
        connection = _Connection(name, self)
        # Python 3.11 prints an error if a server's task ends with CancelledError.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                self._forward_later(client, to_server, connection.sent), _forward(server, to_client, connection.received)
            )
        for writer in (to_server, to_client):
            writer.close()

    async def _forward_later(self, source, target, seen):
        queue = asyncio.Queue()

        async def read():
            data = b"more"
            while data:
                data = await source.read(1 << 16)
                seen(data)
                queue.put_nowait((time.monotonic() + self._delay, data))

        reading = asyncio.create_task(read())
        data = b"more"
        while data:
            due, data = await queue.get()
            await asyncio.sleep(due - time.monotonic())
            await _pass_on(data, target)
        await reading


class _Connection:
    """Splits the bytes of one connection into requests: the first bytes after a response begin a new request."""

    def __init__(self, server, network):
        self._server = server
        self._network = network
        self._request = None
        self._is_answered = True
        self._is_websocket = False

    def sent(self, data):
        if not data:
            return
        if self._is_websocket and data[0] in (CLOSE, PING, PONG):
            # The server's reply to a close frame does not belong to the request before it.
            self._request = None if data[0] == CLOSE else self._request
            return
        if self._is_answered:
            self._request = Request(self._server, self._name(data))
            self._network.requests.append(self._request)
            self._is_answered = False
        action = None if self._is_websocket else ACTION.search(data)
        if action:
            self._request.name = action[1].decode()

    def received(self, data):
        if data and self._request:
            self._is_websocket = self._is_websocket or data.startswith(b"HTTP/1.1 101 ")
            self._is_answered = True
            self._request.ended = time.monotonic()

    def _name(self, data):
        first = HTTP.match(data)
        if first:
            return f"{first[1].decode()} {first[2].decode().partition('?')[0]}"
        return "message" if self._is_websocket else "unknown"


async def _forward(source, target, seen):
    data = b"more"
    while data:
        data = await source.read(1 << 16)
        seen(data)
        await _pass_on(data, target)


async def _pass_on(data, target):
    if data:
        target.write(data)
        await target.drain()
    elif target.can_write_eof():
        target.write_eof()
