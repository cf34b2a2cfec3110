"""What answering a push takes at least: a bare ASGI application that reads the request and answers 204."""

import sys
from typing import Any

import uvicorn


async def answer(_scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(answer, port=int(sys.argv[1]), loop="uvloop", log_level="critical", access_log=False, lifespan="off")
