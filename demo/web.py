"""The shop's site with its runbooks; the process serves the model provider and the inbox as well."""

from __future__ import annotations

from html import escape

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from demo import inbox, provider
from demo.estate import Estate
from demo.part import ask, forever, serve

ESTATE = Estate.here()
STYLE = "body{font:16px/1.5 system-ui;max-width:46rem;margin:3rem auto;padding:0 1rem}td{padding:.2rem 1rem .2rem 0}"
RUNBOOKS = {
    "site": "Is the API up? If it is, start the site again: it keeps nothing.",
    "api": "Read its log first. If the database is down, mend that. Slow: look for what was deployed last.",
    "database": "Is its process there, is its disk full? Nothing else may be tried before a copy was made.",
    "worker": "Orders wait safely in the queue. Start the worker again, and watch the queue become empty.",
    "disk": "Pictures that are older than a year go to the archive. Ask before anything else is deleted.",
    "provider": "It is theirs. Look at their status page, and switch the advice off if it lasts.",
    "stock-sync": "Read what it printed, on the page of its heartbeat. It may be run again at any time.",
}


def page(title: str, body: str) -> HTMLResponse:
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    return HTMLResponse(f"{head}<h1>{title}</h1>{body}")


def shelf(_request: Request) -> HTMLResponse:
    try:
        products = ask(f"{ESTATE.url('api')}/products")["products"]
    except OSError:
        return HTMLResponse("<h1>The shop is closed for a moment</h1>", 503)
    rows = "".join(f"<tr><td>{escape(one['name'])}<td>{one['stock']} in stock" for one in products)
    return page("Tea shop", f"<p>Loose leaf, and nothing else. A made-up shop.</p><table>{rows}</table>")


def runbook(request: Request) -> HTMLResponse:
    name = request.path_params["name"]
    if name not in RUNBOOKS:
        raise HTTPException(404)
    broken = "Heal it with <code>.venv/bin/python -m demo heal</code>, if you broke it."
    return page(f"Runbook: {name}", f"<p>{RUNBOOKS[name]}</p><p>{broken}</p>")


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/", shelf), Route("/runbooks/{name}", runbook)]), ESTATE.port("site"))
    serve(provider.APPLICATION, ESTATE.port("provider"))
    serve(inbox.application(page), ESTATE.port("inbox"))
    inbox.take_mail(ESTATE.port("mail"))
    forever()
