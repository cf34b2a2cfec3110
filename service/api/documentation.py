"""The routes that show the documentation: the OpenAPI document, and Scalar, which reads it in the browser."""

from collections.abc import Callable
from typing import Final

from litestar import MediaType, Response, get

from service.api.auth import PUBLIC
from service.api.injection import Injected
from service.api.paging import json_bytes

_CDN: Final = "https://cdn.jsdelivr.net"
_SCALAR: Final = f"{_CDN}/npm/@scalar/api-reference@1.72.1/dist/browser/standalone.js"
_INTEGRITY: Final = "sha384-U11tb2XnKvmwt8RlTvnwUnYgrN+ur4Xyh9htLhjajWNR/Oyl5AX5DEz00qRmlrmK"
"""Subresource Integrity: the browser runs this very release of Scalar, whatever the CDN sends."""

_POLICY: Final = (
    f"default-src 'none'; script-src {_CDN}; style-src 'unsafe-inline' {_CDN}; font-src https://fonts.scalar.com {_CDN} data:; "
    "img-src 'self' data: https:; connect-src 'self'; worker-src blob:; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>calgate</title>
</head>
<body>
<script id="api-reference" data-url="/openapi.json"></script>
<script src="{_SCALAR}" integrity="{_INTEGRITY}" crossorigin="anonymous"></script>
</body>
</html>
"""


@get("/openapi.json", include_in_schema=False, opt=PUBLIC, sync_to_thread=True)
def show_document(document: Injected[Callable[[], bytes]]) -> Response[bytes]:
    return json_bytes(document())


@get("/docs", include_in_schema=False, opt=PUBLIC, media_type=MediaType.HTML, sync_to_thread=False)
def show_docs() -> Response[str]:
    return Response(_PAGE, media_type=MediaType.HTML, headers={"content-security-policy": _POLICY})


ROUTES: Final = [show_document, show_docs]
