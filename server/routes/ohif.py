"""``/ohif``: the OHIF viewer that comes built in the monailabel wheel."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from hepatic.errors import NotFoundError
from server.routes.static import Tree, is_asset, is_plain, missing, monailabel_static, sent
from server.upstream import Upstream

router = APIRouter(prefix="/ohif", tags=["Viewer"])

_OURS = Path(__file__).parent.parent / "web" / "ohif"
_CONFIG = (_OURS / "app-config.js").read_text("utf-8")
_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_POLICY = (
    "default-src 'none'; "
    # its decoders are wasm, and their glue code makes functions from text, in the page and in workers
    "script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval'{hashes}; "
    "worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "font-src 'self' data:; "
    "media-src 'self' blob:; "
    "connect-src 'self' data: blob:; "
    "manifest-src 'self'; "
    "frame-src 'self' blob:; "
    "frame-ancestors 'self'; "
    "base-uri 'self'; "
    "form-action 'self'"
)


@router.head("/{path:path}", include_in_schema=False)
@router.get("/{path:path}", summary="The OHIF viewer", response_model=None)
def ohif(request: Request, path: str) -> Response:
    """Open ``/ohif/monai-label?StudyInstanceUIDs=...``; every path that is no file is a page of the viewer."""
    tree, index = viewer()
    if path == "app-config.js":
        return _config(request)
    file = _ours().find(path) or tree.find(path) if is_plain(path) else None
    if file is None and (not is_plain(path) or is_asset(path)):
        raise missing("the viewer's file")
    return sent(request, file or index, {"Content-Security-Policy": _policy(index), "X-Frame-Options": "SAMEORIGIN"})


def viewer() -> tuple[Tree, Path]:
    """Return the viewer's files, and its first page.

    Raises:
        NotFoundError: the installed monailabel package has none.
    """
    tree = _tree()
    index = tree.find("index.html") if tree else None
    if tree is None or index is None:
        raise NotFoundError(
            "the OHIF viewer",
            expected="it in the installed monailabel package",
            came="none",
            fix="Install monailabel from its wheel: the sources do not have the built viewer.",
        )
    return tree, index


def study_page(request: Request, study_uid: str) -> str | None:
    """Where the viewer opens a study, below this server's root; None without a viewer, or where no PACS is served."""
    state = request.app.state
    if getattr(state, "upstream", None) is None or not state.services.spec.is_remote or not study_uid:
        return None
    try:
        viewer()
    except NotFoundError:
        return None
    return f"ohif/viewer?{urlencode({'StudyInstanceUIDs': study_uid})}"


def _config(request: Request) -> Response:
    """Ours instead of the package's: it names the way to the DICOMweb server and this server's own address."""
    upstream: Upstream | None = getattr(request.app.state, "upstream", None)
    uploads = upstream is not None and upstream.spec.takes_studies
    text = _CONFIG.replace("UPLOAD", str(uploads).lower())
    return Response(text, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@cache
def _tree() -> Tree | None:
    root = monailabel_static()
    return Tree(root / "ohif") if root else None


@cache
def _ours() -> Tree:
    return Tree(_OURS)


@cache
def _policy(index: Path) -> str:
    """Everything from this server only; of scripts inside a page, those of the viewer's first page."""
    scripts = _INLINE.findall(index.read_bytes().replace(b"\r\n", b"\n"))
    digests = [b64encode(sha256(script).digest()).decode() for script in scripts]
    return _POLICY.format(hashes="".join(f" 'sha256-{digest}'" for digest in digests))
