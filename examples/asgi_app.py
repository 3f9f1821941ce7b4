"""An ASGI program whose workers are profiled, each by itself:

    uvicorn --app-dir examples --workers 2 asgi_app:application
    gunicorn --chdir examples --workers 2 -k uvicorn_worker.UvicornWorker \\
        asgi_app:application
"""

import os

import googlecloudprofiler

googlecloudprofiler.start(service="shop")


def price_basket():
    return sum(i * i % 7 for i in range(20000))


async def application(scope, receive, send):
    assert scope["type"] == "http"
    body = b"%d %d\n" % (os.getpid(), price_basket())
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
