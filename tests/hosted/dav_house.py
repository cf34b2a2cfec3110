"""A real CalDAV server among the hosts of a house, reached by its name like everybody else there."""

from asyncio import to_thread

import httpx
from radicale_server import PASSWORD, USER, RadicaleServer

DAV = "https://dav.test"
FOLDER = f"/{USER}/work/"
LOGIN = {"server_url": DAV, "username": USER, "password": PASSWORD}
"""What Ada types into the form."""


class DavHost(httpx.AsyncBaseTransport):
    """Takes requests to the server, without a network."""

    def __init__(self, server: RadicaleServer) -> None:
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        body = await request.aread()
        path = request.url.path
        status, told, answered = await to_thread(
            lambda: self._server.call(request.method, path, body, login=False, **headers)
        )
        return httpx.Response(status, headers=told, stream=httpx.ByteStream(answered), request=request)
