"""What works without being looked at: a worker on the queue, a job run as cron would, and a few visitors."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress

import psycopg

from demo.estate import Estate
from demo.part import ask, forever

ESTATE = Estate.here()
STOCK_SYNC, WORKER = (f"5d0c0de0-0000-4000-8000-00000000000{number}" for number in (1, 2))
TAKE = """UPDATE orders SET state = 'sent' WHERE id IN
    (SELECT id FROM orders WHERE state = 'waiting' ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED)"""
FORGET = "DELETE FROM orders WHERE at < now() - interval '1 hour'"


def work() -> None:
    """Send orders each second, and report in every ten."""
    while True:
        with suppress(OSError, psycopg.OperationalError), psycopg.connect(ESTATE.database) as connection:
            connection.execute(FORGET)
            urllib.request.urlopen(f"{ESTATE.url('mainstay')}/ping/{WORKER}", timeout=5).close()  # noqa: S310
            for _ in range(10):
                connection.execute(TAKE)
                connection.commit()
                time.sleep(1)
        time.sleep(0.5)


def run_cron() -> None:
    """stock-sync every 20 seconds; `mainstay exec` reports how it went."""
    report = [sys.executable, "-m", "mainstay", "exec", "--heartbeat", STOCK_SYNC, "--server", ESTATE.url("mainstay")]
    while True:
        subprocess.run([*report, "--", sys.executable, "-m", "demo.stock_sync"], check=False)
        time.sleep(20)


def visit() -> None:
    """About two requests a second, as visitors of a quiet shop make them."""
    chance = random.Random()  # noqa: S311  visitors
    api = ESTATE.url("api")
    while True:
        with suppress(OSError):
            kind = chance.choices(["look", "search", "order", "ask"], [5, 3, 1, 1])[0]
            if kind == "look":
                urllib.request.urlopen(ESTATE.url("site"), timeout=5).close()  # noqa: S310
            elif kind == "order":
                ask(f"{api}/orders", {"product": 1})
            else:
                ask(f"{api}/products?q=tea" if kind == "search" else f"{api}/advice")
        time.sleep(chance.uniform(0.3, 0.7))


if __name__ == "__main__":
    for job in (work, run_cron, visit):
        threading.Thread(target=job, daemon=True).start()
    forever()
