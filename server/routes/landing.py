"""``/``: a page for people who open the server's address in a browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from hepatic.pacs.inbox import UNREAD
from server.access.user import User, UserDep
from server.plain import number
from server.routes.docs import PAGE_HEADERS
from server.routes.info import described
from server.services import ServicesDep

router = APIRouter(include_in_schema=False)

_PAGE = Template((Path(__file__).parent.parent / "web" / "landing.html").read_text("utf-8"))
_ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    b'<rect width="16" height="16" rx="3" fill="#4db6ac"/>'
    b'<path d="M2 6q6-5 12 0-1 6-5 7-3-4-7-7z" fill="#0f1417"/></svg>'
)
_NAMES = {
    "p1td_1": "P1TD-1",
    "p1td_10": "P1TD-10",
    "froc": "FROC",
    "shown_from": "Readers are shown candidates from score",
    "cards": "Candidates a study then has",
}
_WORDS = {"dice": "Dice", "iou": "IoU", "hd95": "HD95", "px": "(px)", "mm": "(mm)"} | {
    name: name.upper() for name in ("auc", "dsc", "fnh", "hcc", "ppv")
}


@router.get("/")
def landing(request: Request, services: ServicesDep, user: UserDep) -> HTMLResponse:
    """What is served, how much is labelled, how to connect."""
    info = described(services.host)
    return HTMLResponse(
        _PAGE.substitute(
            name=escape(str(info.get("name") or "hepatic")),
            description=escape(str(info.get("description") or "")),
            address=escape(str(request.base_url).rstrip("/")),
            user=_user(user),
            viewer='<a href="ohif/">OHIF</a>' if getattr(request.app.state, "upstream", None) else "",
            counts=_counts(info),
            progress=_progress(info["datastore"]),
            models="".join(map(_model, _together(info["models"]))) or _no_model(info),
            training=_training(info),
            pacs=_pacs(told := services.pacs.told(None, limit=1, offset=0)) + _unread(told["unread"]["counts"]),
        ),
        headers=PAGE_HEADERS,
    )


@router.get("/favicon.ico")
def icon() -> Response:
    """A small liver."""
    return Response(_ICON, media_type="image/svg+xml")


def _user(user: User) -> str:
    if not user.is_known:
        return ""
    out = '<form method="post" action="logout"><button>Log out</button></form>' * user.by.startswith("session")
    return f'<div class="user"><span class="dim">{escape(user.name)} ({user.role.word})</span>{out}</div>'


def _counts(info: Mapping[str, Any]) -> str:
    datastore = info["datastore"]
    counts = {"images": datastore.get("total", 0), "labelled": datastore.get("completed", 0)}
    if "patients" in datastore:
        counts["patients"] = datastore["patients"]
    counts |= {problem: datastore[problem] for problem in ("unreadable", "missing") if datastore.get(problem)}
    counts["models"] = len(info["models"])
    return "".join(f"<div><dt>{name}</dt><dd>{int(number(count))}</dd></div>" for name, count in counts.items())


def _progress(datastore: Mapping[str, Any]) -> str:
    total, completed = (int(number(datastore.get(count))) for count in ("total", "completed"))
    if not total:
        return (
            "<p>There are no images yet. Put DICOM, NIfTI or NRRD files into the folder of studies: they are found "
            "within a minute. <code>hepatic sample-data</code> makes some to try.</p>"
        )
    percent = round(100 * completed / total)
    return (
        f'<div class="bar" role="img" aria-label="{percent} % labelled"><span style="width: {percent}%"></span></div>'
        f'<p class="dim">{completed} of {total} images have a final label ({percent} %)</p>'
    )


def _together(models: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Mapping[str, Any]]]:
    """Models by name; those of one version are one network with answers in several forms."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for name, about in models.items():
        network = str(about.get("version") or name), str(about.get("metrics"))
        found.setdefault(network, {})[name] = about
    return list(found.values())


def _model(alike: Mapping[str, Mapping[str, Any]]) -> str:
    (name, about), *others = alike.items()
    version = f"version {about['version']}" if about.get("version") else ""
    kind = escape(" · ".join(filter(None, (str(about["type"]), str(about.get("modality") or ""), version))))
    metrics = about.get("metrics")
    measured = metrics if isinstance(metrics, dict) else {}
    shown = "".join(_metrics(measured))
    parts = [
        f"<h3>{escape(str(name))}</h3>",
        f'<p class="dim">{kind}</p>',
        f"<p>{escape(str(about['description']))}</p>",
        *(f"<p><b>{escape(str(other))}</b>: {escape(str(form['description']))}</p>" for other, form in others),
        f'<p class="dim">On the patients held back from its training:</p><ul class="metrics">{shown}</ul>'
        * bool(shown),
    ]
    if about.get("notes"):
        parts.append(f'<p class="note">{escape(str(about["notes"]))}</p>')
    elif version:
        parts.append('<p class="note">Its card does not say what it was trained on.</p>')
    return f"<article>{''.join(parts)}</article>"


def _no_model(info: Mapping[str, Any]) -> str:
    fix = "Label images of two patients or more and train one." if info["trainers"] else "The app offers none."
    return f"<p>No model is served yet. {fix}</p>"


def _training(info: Mapping[str, Any]) -> str:
    lines = [
        f"<li><b>{escape(str(name))}</b>: {_last_training(info['train_stats'].get(name))}</li>"
        for name in info["trainers"]
    ]
    trainers = f"<ul>{''.join(lines)}</ul>" if lines else "<p>Nothing can be trained here.</p>"
    strategies = escape(", ".join(map(str, info["strategies"])) or "none")
    return f"{trainers}<p>Strategies for the next sample: {strategies}</p>"


def _pacs(told: Mapping[str, Any]) -> str:
    """What goes to the PACS, where there is one and anything is or was sent."""
    counts = {name.replace("_", " "): count for name, count in told["counts"].items() if count}
    if not counts and not told["sends"]:
        return ""
    sends = escape(", ".join(told["sends"])) or "only what is asked for"
    numbers = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing yet"
    trouble = f'<p class="note">{escape(told["trouble"])}</p>' if told["trouble"] else ""
    return (
        f'<h2>Sent to the PACS</h2><p>Of what readers say: {sends}. <a href="pacs/">{escape(numbers)}</a>.</p>{trouble}'
    )


def _unread(counts: Mapping[str, int]) -> str:
    """What was found of others beside the images and is no label, where there is any."""
    numbers = ", ".join(f"{count} {UNREAD[name]}" for name, count in counts.items() if count)
    what = "<h2>Found beside the images</h2><p>Segmentations and reports of others that are no labels"
    return f'{what}: <a href="pacs/">{escape(numbers)}</a>.</p>' if numbers else ""


def _last_training(stats: Mapping[str, Any] | None) -> str:
    if not stats or not stats.keys() - {"best_metric"}:
        return "not trained here yet"
    version = f"{stats['version']}, " if stats.get("version") else ""
    return escape(f"last training: {version}{stats.get('reason') or 'best metric ' + _value(stats.get('best_metric'))}")


def _metrics(measured: Mapping[str, Any]) -> Iterator[str]:
    """Each measure with its interval, where the card has one."""
    bounds = {f"{key}_{end}" for key in measured for end in ("low", "high")}
    for key, value in measured.items():
        if key in bounds:
            continue
        low, high = measured.get(f"{key}_low"), measured.get(f"{key}_high")
        interval = "" if low is None or high is None else f" ({_value(low)} to {_value(high)})"
        yield f"<li>{_metric(str(key))} <b>{_value(value)}</b>{interval}</li>"


def _metric(key: str) -> str:
    if key in _NAMES:
        return escape(_NAMES[key])
    words = " ".join(_WORDS.get(word, word) for word in key.split("_"))
    return escape(words[:1].upper() + words[1:])


def _value(value: Any) -> str:
    exact = number(value)
    if exact == round(exact) and exact > 1:
        return f"{exact:.0f}"
    return f"{exact:.3f}" if exact < 10 else f"{exact:.1f}"
