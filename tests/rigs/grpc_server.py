"""A gRPC server on loopback that answers health checks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from tests.rigs.real_servers import Certificates


@contextmanager
def grpc_server(servicer: Any = None, certificates: Certificates | None = None) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(2))
    if servicer is not None:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if certificates is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (certificates.key.read_bytes(), certificates.certificate.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
