"""The files that pages load: read once, served under a folder named by a hash of all of them.

A new version has new addresses, so a browser may keep what it has for ever, and modules that import
each other by relative names always fit together. A pack's own files are below `packs/NAME/`.
"""

import hashlib
from collections.abc import Iterable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from tailrace.packs import Pack

_MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


class StaticFiles:
    """All static files by their path: the program's, and those of packs."""

    def __init__(self, packs: Iterable[Pack] = ()) -> None:
        self._contents = dict(_walk(files("tailrace.web") / "static", ""))
        for pack in packs:
            if pack.static.is_dir():
                self._contents |= dict(_walk(pack.static, path_of(pack, "")))
        digest = hashlib.blake2s(digest_size=6)
        for path, content in sorted(self._contents.items()):
            digest.update(path.encode() + b"\0" + content)
        self.version = digest.hexdigest()

    def url(self, path: str) -> str:
        """The address of a file; KeyError for one that is not there."""
        self._contents[path]
        return f"/static/{self.version}/{path}"

    def router(self) -> APIRouter:
        """The route that serves them."""
        router = APIRouter(include_in_schema=False)

        @router.head("/static/{version}/{path:path}")
        @router.get("/static/{version}/{path:path}")
        async def static_file(version: str, path: str) -> Response:
            content = self._contents.get(path)
            if content is None:
                raise HTTPException(404)
            cache = _FOR_EVER if version == self.version else "no-cache"
            media_type = _MEDIA_TYPES.get(path.rsplit(".", 1)[-1], "application/octet-stream")
            return Response(content, headers={"Cache-Control": cache}, media_type=media_type)

        return router


def path_of(pack: Pack, name: str) -> str:
    """The path of a pack's own file."""
    return f"packs/{pack.name}/{name}"


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _walk(entry, f"{path}/")
        else:
            found.append((path, entry.read_bytes()))
    return found
