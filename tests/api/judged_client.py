"""A client of Meeting BaaS's API whose every answer is held against what the vendor has published."""

from typing import Any

import httpx
from meeting_baas_schema import judge


class JudgedClient:
    """Asks under `/meeting-baas` as the vendor's clients do; `last` is the newest answer as it came."""

    def __init__(self, app: Any, key: str | None, header: str = "x-meeting-baas-api-key") -> None:
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://calgate.test/meeting-baas",
            headers={header: key} if key else {},
        )
        self.last: httpx.Response

    async def ask(self, method: str, path: str, json: Any = None, **more: Any) -> Any:
        """The answer, judged and decoded: a success or a refusal."""
        body = {} if json is None else {"json": json}
        self.last = await self.http.request(method, path, **body, **more)
        return judge(method, path, self.last.status_code, self.last.content)

    async def refused(self, status: int, method: str, path: str, json: Any = None, **more: Any) -> str:
        """The code of a refusal with this status."""
        found = await self.ask(method, path, json, **more)
        assert self.last.status_code == status, self.last.text
        code: str = found.code
        return code
