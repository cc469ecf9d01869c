"""``/activelearning``: which image to label next."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request

from server.access.guard import give_pass
from server.access.user import UserDep
from server.host import is_shared
from server.names import check_listed
from server.params import for_strategy
from server.plain import plain
from server.services import ServicesDep

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/activelearning", tags=["Active learning"])


@router.post("/{strategy}", summary="The next image to label")
def next_sample(
    request: Request,
    services: ServicesDep,
    user: UserDep,
    strategy: str,
    params: Annotated[dict[str, Any] | None, Body()] = None,
) -> dict[str, Any]:
    """Answer with the image's id, path and what is known of it; with ``{}`` when nothing is left."""
    host = services.host
    check_listed("the strategy", strategy, host.strategies, fix="GET /info/ lists them.")
    asked = for_strategy(params)
    with host.storing() as datastore:
        sample = host.next_sample({**asked, "strategy": strategy})
        if not sample or not sample.get("id"):
            return {}
        image_id = str(sample["id"])
        info = dict(datastore.get_image_info(image_id) or {})
        asker = user.name or asked.get("client_id")
        shown = {**info.get("strategy", {}), strategy: {"ts": int(time.time()), "client_id": asker}}
        try:
            datastore.update_image_info(image_id, {"strategy": shown})
        except Exception:
            logger.warning("it could not be noted that an image was given out", exc_info=True)
        told: dict[str, Any] = plain({**sample, **info, "strategy": shown, "id": image_id})
    if is_shared(host.datastore):  # it says where the image lies, if it is on this machine
        path = Path(str(info.get("path", "")))
        host.datastore.store.fetch_ahead(image_id)
    else:
        path = host.image_path(image_id)
    if path.is_file():
        told["path"] = str(path)
    else:
        told.pop("path", None)  # 3D Slicer cannot open a folder; without a path it downloads the series as one file
    if user.is_known:
        give_pass(request, image_id)
    told.setdefault("name", path.name if path.is_file() else f"{image_id}.nrrd")
    return told
