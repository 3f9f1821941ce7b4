"""Servers as the program of `run`: its store has the workers, each by its process."""

import signal

import pytest
from fake_service import eventually
from googlecloudprofiler import _store
from load import Load
from server import Server, installed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("preload", [False, True], ids=["", "preload"])
def test_gunicorn_is_run_to_its_end_with_each_worker(tmp_path, preload, number):
    store = str(tmp_path / "store")
    argv = [
        *(installed("python"), "-m", "googlecloudprofiler", "run", "--store", store),
        *("--service", "shop", "--interval", "0.5", "--duration", "0.5"),
        *("-m", "gunicorn", "--bind", "unix:{address}", "--workers", "2"),
        *("--no-control-socket", *["--preload"] * preload, "wsgi_app:application"),
    ]

    def processes():
        with _store.Store.open_existing(store) as opened:
            return {int(row.labels["process"]) for row in opened.find()}

    server = Server(argv, tmp_path, {})
    try:
        with Load(server) as load:
            workers = load.wait_served(2)
            eventually(lambda: workers < processes(), "profiles of master and workers")
        status, _ = server.end(number)
    finally:
        server.kill()
    assert status == 0, server.log()
    text = server.log()
    assert "CPU profile of 'shop', the sum of" in text and "price_basket" in text
    assert "Traceback" not in text
