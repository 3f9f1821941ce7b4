"""Programs with a fixed amount of work, by which a slow-down shows. CHORES has them by
name: functions of how much to do."""

import asyncio
import http.client
import json
import json.encoder
import queue
import socketserver
import threading
import wsgiref.simple_server

DATA = {"list": [{"a": i, "b": [1.5, None, "x" * 5]} for i in range(30)]}
THREADS = 4


def encode():
    encoder = json.encoder._make_iterencode(
        {}, json.JSONEncoder().default, json.encoder.py_encode_basestring_ascii, None,
        repr, ":", ",", False, False, False)
    return "".join(encoder(DATA, 0))


def cpu(amount):
    for _ in range(amount):
        encode()


def threads(amount):
    """Workers that take from one queue and answer into another."""
    todo, done = queue.Queue(), queue.Queue()

    def work():
        for job in iter(todo.get, None):
            done.put(job())

    workers = [threading.Thread(target=work) for _ in range(THREADS)]
    for worker in workers:
        worker.start()
    for _ in range(amount):
        todo.put(encode)
    for _ in range(amount):
        done.get()
    for _ in workers:
        todo.put(None)
    for worker in workers:
        worker.join()


async def step(depth):
    if depth:
        return await step(depth - 1)
    await asyncio.sleep(0)
    return sum(range(50))


async def task(amount):
    for _ in range(amount):
        await step(10)


async def tasks(amount):
    await asyncio.gather(*(task(amount) for _ in range(100)))


def asynchronous(amount):
    asyncio.run(tasks(amount))


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True

    def server_bind(self):
        # WSGIServer's own asks the DNS for the name of the machine.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *unused):
        pass


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [encode().encode()]


def web(amount):
    """A server of WSGI with a thread for each request, and THREADS who ask it."""
    with wsgiref.simple_server.make_server(
        "127.0.0.1", 0, application, Server, Handler
    ) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()

        def ask():
            for _ in range(amount):
                connection = http.client.HTTPConnection(*server.server_address)
                connection.request("GET", "/")
                connection.getresponse().read()
                connection.close()

        clients = [threading.Thread(target=ask) for _ in range(THREADS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        server.shutdown()
        serving.join()


CHORES = {"CPU-bound": cpu, "threads": threads, "asyncio": asynchronous, "web": web}
