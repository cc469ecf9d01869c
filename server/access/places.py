"""Where the path of a request leads, as the application will see it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from fastapi.routing import iter_route_contexts
from starlette.applications import Starlette
from starlette.routing import compile_path

_LONGEST_KEPT = 200


@dataclass(frozen=True)
class Place:
    """Where a path leads.

    Args:
        template: the route's path, such as ``/infer/{model}``.
        methods: those it takes.
        params: what stands for the parameters.
    """

    template: str
    methods: frozenset[str]
    params: Mapping[str, str] = field(default_factory=dict)


class Places:
    """The routes of an application, which may still be added until the first is asked for."""

    def __init__(self, app: Starlette) -> None:
        self._app = app
        self._table: list[tuple[re.Pattern[str], frozenset[str], str]] = []
        self._kept = lru_cache(maxsize=4096)(self._look_up)

    def find(self, method: str, path: str) -> Place | None:
        """Return the route that will answer, as the application will choose it; any method's if none has this one."""
        return self._kept(method, path) if len(path) <= _LONGEST_KEPT else self._look_up(method, path)

    def _look_up(self, method: str, path: str) -> Place | None:
        if not self._table:
            for route in iter_route_contexts(self._app.routes):
                if route.path is not None and route.methods:
                    pattern, template, _ = compile_path(route.path)
                    self._table.append((pattern, frozenset(route.methods), template))
        others: Place | None = None
        for asked in (path, path.rstrip("/") if path.endswith("/") else f"{path}/"):
            for pattern, methods, template in self._table:
                if found := pattern.match(asked):
                    place = Place(template, methods, found.groupdict())
                    if method in methods:
                        return place
                    others = others or place
            if others:
                return others
        return None
