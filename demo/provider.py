"""A provider of a language model that has none: the shape of OpenAI's chat completions, and always one answer."""

from __future__ import annotations

import asyncio
import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from demo.estate import Estate

ESTATE = Estate.here()


async def complete(request: Request) -> JSONResponse:
    if ESTATE.is_broken("provider"):
        return JSONResponse({"error": {"type": "overloaded_error", "message": "Overloaded"}}, 529)
    asked = await request.json()
    await asyncio.sleep(0.25)  # as long as a short answer takes
    words = "OK. Rooibos: it holds no caffeine."
    return JSONResponse(
        {
            "id": f"chatcmpl-{time.time_ns():x}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": asked.get("model", "tea-advice-1"),
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"},
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 10, "total_tokens": 19},
        }
    )


APPLICATION = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
