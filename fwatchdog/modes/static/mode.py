"""The mode itself: GET and HEAD of files."""

from __future__ import annotations

import os
import time

from fwatchdog.http.messages import REASONS, Request, Response, text_response
from fwatchdog.modes import CannotStart
from fwatchdog.modes.outcomes import duration_header
from fwatchdog.modes.static.conditions import Unsatisfiable, is_unchanged, wanted_range
from fwatchdog.modes.static.folder import Folder, NeedsSlash, NotServed, OpenFile
from fwatchdog.modes.static.media_types import media_type
from fwatchdog.settings import Settings
from swarmfn.wire.headers import Headers

_PIECE = 256 * 1024


class StaticMode:
    """Serves the folder of the settings. Nothing here runs for long, so exec_timeout has no meaning."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = Folder(settings.static_path)

    async def start(self) -> None:
        if not self._folder.exists():
            raise CannotStart(f'static_path: there is no folder "{self._settings.static_path}"')

    async def run(self, request: Request, timeout: float) -> Response:
        started = time.monotonic()
        response = await self._serve(request, started)
        if not request.stream.has_begun:
            response.headers.append(duration_header(time.monotonic() - started))
        return response

    async def close(self) -> None:
        return

    async def _serve(self, request: Request, started: float) -> Response:
        if request.method not in ("GET", "HEAD"):
            return text_response(405, "Files are read with GET and HEAD.\n", [("Allow", "GET, HEAD")])
        try:
            file = self._folder.open(request.path)
        except NotServed as exc:
            return text_response(exc.status, f"{REASONS[exc.status]}\n")
        except NeedsSlash:
            return Response(301, [("Location", _with_slash(request))])
        try:
            return await self._answer(request, file, started)
        finally:
            os.close(file.descriptor)

    async def _answer(self, request: Request, file: OpenFile, started: float) -> Response:
        version = file.version
        headers = [("ETag", version.etag), ("Last-Modified", version.last_modified), ("Accept-Ranges", "bytes")]
        if is_unchanged(request, version):
            return Response(304, headers)
        try:
            part = wanted_range(request, version)
        except Unsatisfiable:
            return Response(416, [*headers, ("Content-Range", f"bytes */{version.size}")])
        headers.append(("Content-Type", self._settings.content_type or media_type(file.name)))
        if part is None:
            return await _send(request, 200, headers, file.descriptor, 0, version.size, started)
        first, last = part
        headers.append(("Content-Range", f"bytes {first}-{last}/{version.size}"))
        return await _send(request, 206, headers, file.descriptor, first, last - first + 1, started)


async def _send(
    request: Request, status: int, headers: Headers, descriptor: int, offset: int, length: int, started: float
) -> Response:
    """`length` bytes of the file from `offset`. One that shrinks meanwhile breaks the connection."""
    if request.method == "GET" and length <= _PIECE:
        return Response(status, headers, (os.pread(descriptor, length, offset),))
    length_header = ("Content-Length", str(length))
    await request.stream.begin(status, [*headers, length_header, duration_header(time.monotonic() - started)])
    while request.method == "GET" and length and (piece := os.pread(descriptor, min(_PIECE, length), offset)):
        await request.stream.write(piece)
        offset += len(piece)
        length -= len(piece)
    return Response(status, headers)


def _with_slash(request: Request) -> str:
    """Relative, since a gateway may have taken something off the path; the `./` keeps a colon from making a scheme."""
    name = request.raw_path.rstrip("/").rpartition("/")[2]
    return f"./{name}/" + (f"?{request.query}" if request.query else "")
