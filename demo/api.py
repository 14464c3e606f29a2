"""The shop's API: products, orders, the disk of the uploads, and advice by the model provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.estate import Estate
from demo.part import ask, forever, serve

ESTATE = Estate.here()
Endpoint = Callable[[Request], JSONResponse]


def endpoint(function: Endpoint) -> Endpoint:
    """Slow while `latency` is broken; 503 while the database is away."""

    @wraps(function)
    def answer(request: Request) -> JSONResponse:
        if ESTATE.is_broken("latency"):
            time.sleep(1.0)
        try:
            return function(request)
        except psycopg.OperationalError as error:
            return JSONResponse({"status": "unhealthy", "error": str(error).splitlines()[0]}, 503)

    return answer


def _rows(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(ESTATE.database) as connection:
        return connection.execute(statement.encode(), values).fetchall()


@endpoint
def health(_request: Request) -> JSONResponse:
    _rows("SELECT 1")
    return JSONResponse({"status": "healthy"})


@endpoint
def products(request: Request) -> JSONResponse:
    wanted = f"%{request.query_params.get('q', '')[:100]}%"
    found = _rows("SELECT id, name, stock FROM product WHERE name ILIKE %s ORDER BY name", wanted)
    return JSONResponse({"products": [{"id": key, "name": name, "stock": stock} for key, name, stock in found]})


@endpoint
def order(_request: Request) -> JSONResponse:
    ((key, state),) = _rows("INSERT INTO orders (product) VALUES (1) RETURNING id, state")
    return JSONResponse({"id": key, "state": state}, 201)


@endpoint
def disk(_request: Request) -> JSONResponse:
    return JSONResponse({"mount": "/uploads", "used_percent": 97 if ESTATE.is_broken("disk") else 41})


@endpoint
def advice(_request: Request) -> JSONResponse:
    question = {"model": "tea-advice-1", "messages": [{"role": "user", "content": "Which tea is for the evening?"}]}
    try:
        answer = ask(f"{ESTATE.url('provider')}/v1/chat/completions", question)
    except OSError as error:
        return JSONResponse({"error": f"the model provider failed: {error}"}, 502)
    return JSONResponse({"advice": answer["choices"][0]["message"]["content"]})


ROUTES = [
    Route("/health", health),
    Route("/products", products),
    Route("/orders", order, methods=["POST"]),
    Route("/disk", disk),
    Route("/advice", advice),
]

if __name__ == "__main__":
    serve(Starlette(routes=ROUTES), ESTATE.port("api"))
    forever()
