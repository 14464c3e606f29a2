"""What is checked in benchmarks: a local nginx that answers at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.server import free_port

_CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; user root;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ {listens} location / {{ return 200 "ok"; }} }}
}}
"""


ADDRESSES = 8  # 127.0.0.1 to 127.0.0.8, all at the same port


@contextmanager
def nginx() -> Iterator[str]:
    """The URL of a running nginx, at the first of its addresses."""
    folder, port = Path(tempfile.mkdtemp(prefix="mainstay-nginx-")), free_port()
    listens = " ".join(f"listen 127.0.0.{last}:{port} backlog=4096;" for last in range(1, ADDRESSES + 1))
    (folder / "nginx.conf").write_text(_CONFIG.format(folder=folder, listens=listens))
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")], env=environment)
    url = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)
