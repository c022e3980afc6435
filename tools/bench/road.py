"""A stretch of network in front of a server: what a client sends arrives 50 ms later, and each request is counted.

It forwards bytes and changes none, so connections live as long as both ends want them to, nothing waits for anything
but its own delay, and a WebSocket's messages are delayed as its upgrade is. Opening a connection costs nothing.
"""

import asyncio
import contextlib
import re
import threading
import time

DELAY_SECONDS = 0.050
HTTP = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n")
# Which AWS call a request is: in the form, or in a header.
ACTION = re.compile(rb"(?:\bAction=|x-amz-target: *\w+\.)(\w+)", re.IGNORECASE)
# A WebSocket's frames that nobody waits for: close, ping, pong.
CLOSE, PING, PONG = 0x88, 0x89, 0x8A


class Request:
    """An HTTP request, or a message of a WebSocket, with all that was answered before the connection's next."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.is_message = name == "message"
        self.began = self.ended = time.monotonic()

    def __str__(self):
        return f"{self.server} {self.name}"


class SlowRoad:
    """Ports of 127.0.0.1, each in front of one of a server's; and all that went through them since `forget`."""

    def __init__(self, host, delay=DELAY_SECONDS):
        self.requests = []
        self._host = host
        self._delay = delay
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def to(self, name, port):
        """The port to talk to instead."""
        connected = lambda reader, writer: self._connected(name, port, reader, writer)
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(connected, self._host, 0), self._loop).result()
        return server.sockets[0].getsockname()[1]

    def forget(self):
        self.requests = []

    def of(self, server):
        """The requests to a server; a WebSocket is one, whatever is said on it."""
        return [request for request in self.requests if request.server == server and not request.is_message]

    def round_trips(self):
        """The longest chain of requests each of which began after the one before was answered: those that add up."""
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
        """Ends what still forwards, for a connection may outlive whoever opened it."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, name, port, client, to_client):
        server, to_server = await asyncio.open_connection(self._host, port)
        connection = _Connection(name, self)
        # Python 3.11 prints a task of a server's that ends as cancelled.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(
                self._later(client, to_server, connection.sent), _now(server, to_client, connection.answered)
            )
        for writer in (to_server, to_client):
            writer.close()

    async def _later(self, source, target, seen):
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
    """Tells the requests of one connection apart: each begins with the first that is sent after an answer."""

    def __init__(self, server, road):
        self._server = server
        self._road = road
        self._request = None
        self._is_answered = True
        self._is_websocket = False

    def sent(self, data):
        if not data:
            return
        if self._is_websocket and data[0] in (CLOSE, PING, PONG):
            # The good-bye's answer is not part of what was asked before.
            self._request = None if data[0] == CLOSE else self._request
            return
        if self._is_answered:
            self._request = Request(self._server, self._name(data))
            self._road.requests.append(self._request)
            self._is_answered = False
        action = None if self._is_websocket else ACTION.search(data)
        if action:
            self._request.name = action[1].decode()

    def answered(self, data):
        if data and self._request:
            self._is_websocket = self._is_websocket or data.startswith(b"HTTP/1.1 101 ")
            self._is_answered = True
            self._request.ended = time.monotonic()

    def _name(self, data):
        first = HTTP.match(data)
        if first:
            return f"{first[1].decode()} {first[2].decode().partition('?')[0]}"
        return "message" if self._is_websocket else "unknown"


async def _now(source, target, seen):
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
