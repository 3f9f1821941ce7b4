"""A WSGI program whose workers are profiled, each by itself:

    gunicorn --chdir examples --workers 2 [--preload] wsgi_app
    uwsgi --http :8000 --chdir examples --module wsgi_app --master --processes 2
"""

import os

import googlecloudprofiler

googlecloudprofiler.start(service="shop")


def price_basket():
    return sum(i * i % 7 for i in range(20000))


def application(environ, start_response):
    body = b"%d %d\n" % (os.getpid(), price_basket())
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
