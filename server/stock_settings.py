"""The ``MONAI_LABEL_*`` variables of MONAI Label's own server: which count here, and what there is for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hepatic.adapters import compat
from hepatic.errors import BadInputError


class Fate(StrEnum):
    """What becomes of a variable."""

    HONOURED = "honoured"
    APP = "read by the app"
    REPLACED = "replaced"
    IGNORED = "ignored"


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        name: of the environment variable.
        fate: what becomes of it.
        words: how it counts, or what there is instead, for people.
    """

    name: str
    fate: Fate
    words: str


def _rows(fate: Fate, *rows: tuple[str, str]) -> tuple[Variable, ...]:
    return tuple(
        Variable(name if name.startswith("MONAI_") else f"MONAI_LABEL_{name}", fate, words) for name, words in rows
    )


VARIABLES = (
    *_rows(
        Fate.HONOURED,
        ("APP_DIR", "Where `--app` is not given."),
        ("STUDIES", "Where `--studies` is not given."),
        ("APP_CONF", "A JSON object; `--conf` goes before it."),
        ("SERVER_PORT", "Where `--port` is not given."),
        ("CORS_ORIGINS", "A JSON list; where `--origin` is not given. Empty means none, not all."),
        ("SESSION_EXPIRY", "As `HEPATIC_IMAGE_SESSION_S`."),
        ("DICOMWEB_USERNAME", "As `HEPATIC_DICOMWEB_USERNAME`."),
        ("DICOMWEB_PASSWORD", "As `HEPATIC_DICOMWEB_PASSWORD`."),
        ("DICOMWEB_PROXY_TIMEOUT", "As `HEPATIC_DICOMWEB_TIMEOUT_S`."),
        ("QIDO_PREFIX", "As `HEPATIC_DICOMWEB_QIDO_PREFIX`, for `/proxy/dicom/qido`, too."),
        ("WADO_PREFIX", "As `HEPATIC_DICOMWEB_WADO_PREFIX`, for `/proxy/dicom/wado`, too."),
        ("STOW_PREFIX", "As `HEPATIC_DICOMWEB_STOW_PREFIX`, for `/proxy/dicom/stow`, too."),
        ("TASKS_TRAIN", "`false` leaves the app's trainers out."),
        ("TASKS_STRATEGY", "`false` leaves the app's strategies out."),
        ("TASKS_SCORING", "`false` leaves the app's scoring methods out."),
        ("AUTH_ENABLE", "As `HEPATIC_AUTH`."),
        ("AUTH_REALM_URI", "As `HEPATIC_OIDC_ISSUER`."),
        ("AUTH_TIMEOUT", "As `HEPATIC_OIDC_TIMEOUT_S`."),
        ("AUTH_CLIENT_ID", "As `HEPATIC_OIDC_CLIENT_ID`."),
        ("AUTH_TOKEN_USERNAME", "As `HEPATIC_OIDC_USER_CLAIM`."),
        ("AUTH_TOKEN_ROLES", "As `HEPATIC_OIDC_ROLES_CLAIM`."),
        ("AUTH_ROLE_ADMIN", "As `HEPATIC_OIDC_ROLE_ADMIN`."),
        ("AUTH_ROLE_REVIEWER", "As `HEPATIC_OIDC_ROLE_REVIEWER`."),
        ("AUTH_ROLE_ANNOTATOR", "As `HEPATIC_OIDC_ROLE_ANNOTATOR`."),
        ("AUTH_ROLE_USER", "As `HEPATIC_OIDC_ROLE_READER`."),
    ),
    *_rows(
        Fate.APP,
        (
            "DATASTORE",
            "Kind of a remote datastore (`xnat`, `dsa`); `apps/hepatic` has its own, [DICOMweb](pacs.md) too.",
        ),
        ("DATASTORE_URL", "Remote datastores."),
        ("DATASTORE_USERNAME", "Remote datastores."),
        ("DATASTORE_PASSWORD", "Remote datastores."),
        ("DATASTORE_API_KEY", "Remote datastores."),
        ("DATASTORE_CACHE_PATH", "Remote datastores."),
        ("DATASTORE_PROJECT", "Remote datastores."),
        ("DATASTORE_ASSET_PATH", "Remote datastores."),
        ("DATASTORE_DSA_ANNOTATION_GROUPS", "Remote datastores."),
        ("DATASTORE_AUTO_RELOAD", "MONAI Label's local datastore, in the server's process alone."),
        ("DATASTORE_READ_ONLY", "MONAI Label's local datastore; workers never write it."),
        ("DATASTORE_FILE_EXT", "MONAI Label's local datastore; `apps/hepatic` recognises images by content."),
        ("DICOMWEB_CACHE_PATH", "MONAI Label's DICOMweb datastore."),
        ("DICOMWEB_FETCH_BY_FRAME", "MONAI Label's DICOMweb datastore."),
        ("DICOMWEB_CONVERT_TO_NIFTI", "MONAI Label's DICOMweb datastore."),
        ("DICOMWEB_SEARCH_FILTER", "MONAI Label's DICOMweb datastore; ours has `HEPATIC_DICOMWEB_FILTER`."),
        ("DICOMWEB_CACHE_EXPIRY", "MONAI Label's DICOMweb datastore."),
        ("DICOMWEB_READ_TIMEOUT", "MONAI Label's DICOMweb datastore."),
        ("INFER_CONCURRENCY", "Threads inside a worker; `HEPATIC_WORKERS` says how many workers."),
        ("INFER_TIMEOUT", "Counts with `MONAI_LABEL_INFER_CONCURRENCY`; a worker is stopped after 30 minutes anyway."),
        ("TRACKING_ENABLED", "Trainings of stock tasks; off where mlflow is not installed."),
        ("TRACKING_URI", "Trainings of stock tasks, with mlflow."),
        ("MONAI_ZOO_SOURCE", "Apps that load bundles."),
        ("MONAI_ZOO_REPO", "Apps that load bundles."),
        ("MONAI_ZOO_AUTH_TOKEN", "Apps that load bundles."),
        ("MONAI_SAM_MODEL_PT", "Apps with SAM 2."),
        ("MONAI_SAM_MODEL_CFG", "Apps with SAM 2."),
    ),
    *_rows(
        Fate.REPLACED,
        ("AUTO_UPDATE_SCORING", "Set `HEPATIC_SCORE_IN_BACKGROUND`."),
        ("SESSION_PATH", "Sessions are kept in `.hepatic/sessions` inside the studies."),
    ),
    *_rows(
        Fate.IGNORED,
        ("API_STR", "The routes are at the root."),
        ("PROJECT_NAME", "The API is called hepatic."),
        ("AUTH_TOKEN_EMAIL", "Nobody's address is kept."),
        ("AUTH_TOKEN_NAME", "Users are called by `MONAI_LABEL_AUTH_TOKEN_USERNAME`."),
        ("SESSIONS", "There are always sessions."),
        ("TASKS_BATCH_INFER", "Batch inference is the server's own, for any model."),
    ),
)


@dataclass(frozen=True)
class StockEnvironment:
    """What of the environment ``hepatic serve`` takes where its own options say nothing."""

    conf: Mapping[str, str]
    origins: tuple[str, ...]


def stock_environment() -> StockEnvironment:
    """Read it as MONAI Label does.

    Raises:
        BadInputError: a variable does not hold what it should.
    """
    compat.install()
    try:
        from monailabel.config import Settings

        read = Settings()
    except ValueError as failure:  # pydantic's say which field
        raise BadInputError(
            "a MONAI_LABEL_ variable",
            expected="JSON where MONAI Label's settings are lists or objects",
            came="something else",
            fix=f"Correct it: {' '.join(str(failure).split())[:200]}",
        ) from failure
    conf = {str(key): str(value) for key, value in read.MONAI_LABEL_APP_CONF.items()}
    return StockEnvironment(conf, tuple(str(origin).rstrip("/") for origin in read.MONAI_LABEL_CORS_ORIGINS))


def without_effect(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that is set and does not count."""
    return [
        f"{variable.name} has no effect here. {variable.words.replace('`', '')}"
        for variable in VARIABLES
        if variable.fate in (Fate.REPLACED, Fate.IGNORED) and environment.get(variable.name)
    ]


def table() -> str:
    """Return the documented table, in Markdown."""
    rows = (f"| `{variable.name}` | {variable.fate} | {variable.words} |" for variable in VARIABLES)
    return "\n".join(("| Variable | Here | How |", "|---|---|---|", *rows))
