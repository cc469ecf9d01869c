"""Settings of the library, from ``HEPATIC_*`` environment variables."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

RESULTS = ("labels", "reviews", "classes")
"""What can be written to a PACS by itself."""

Accelerator = Literal["none", "openvino", "openvino-bf16"]


def _also(name: str, stock: str, default: Any, description: str, *, gt: float | None = None) -> Any:
    """Declare a setting that MONAI Label has, too: its variable is read where ours is not set."""
    names = AliasChoices(f"HEPATIC_{name.upper()}", stock)
    return Field(default, validation_alias=names, description=description, gt=gt)


class Settings(BaseSettings):
    """Everything that can be set from outside, with its default."""

    model_config = SettingsConfigDict(env_prefix="HEPATIC_", extra="ignore", populate_by_name=True)

    device: str = Field("auto", description="Where networks run: auto, cpu, cuda, cuda:1 ...")
    threads: int = Field(0, ge=0, description="CPU threads of one inference worker; 0 lets torch choose.")
    accelerator: Accelerator = Field(
        "none",
        description="Runs networks on a CPU: none (torch), openvino (the same numbers), openvino-bf16 (rounded ones).",
    )
    cache_mib: int = Field(
        1024, ge=0, description="Memory for decoded images and prepared tensors together, in each worker."
    )
    studies_cache_mib: int = Field(
        8192, ge=0, description="Disk space for prepared CT studies; those not looked at for longest are dropped."
    )
    max_pixels: int = Field(
        2_000_000_000, gt=0, description="Largest image that is decoded, in pixels over all frames."
    )
    max_upload_mib: int = Field(4096, gt=0, description="Largest upload that is accepted.")
    inspectors: int = Field(1, ge=1, description="Processes that read uploads before they are taken in.")
    inspect_mib: int = Field(4096, ge=64, description="Memory that reading one upload may take.")
    inspect_seconds: float = Field(120.0, gt=0, description="Time that reading one upload may take.")
    max_archive_files: int = Field(5000, gt=0, description="Most files in an archive that is uploaded.")
    max_archive_mib: int = Field(8192, gt=0, description="Largest archive that is uploaded, unpacked.")
    deidentify_uploads: bool = Field(False, description="Take patients out of images that are uploaded (PS3.15).")
    deidentify_keep: str = Field(
        "",
        description="What stays of them in part, separated by spaces: modified-dates, patient-characteristics, "
        "descriptors.",
    )
    data_dir_name: str = Field(
        ".hepatic", description="Folder below the studies that holds index, labels, runs, models."
    )
    dicomweb_data_dir: str = Field(
        "",
        description="Folder for index, labels, runs, models where the studies are on a DICOMweb server; by default one "
        "for each URL below `~/.local/share/hepatic`.",
    )
    workers: int = Field(1, ge=1, description="Inference worker processes.")
    queue_limit: int = Field(64, ge=1, description="Requests that may wait for a worker; more are answered with 503.")
    training_devices: str = Field(
        "auto", description="Devices for trainings, one at a time on each: cuda:0,cuda:1 or cpu; auto takes every GPU."
    )
    imagenet: str = Field(
        "",
        description="File or folder of torchvision's ImageNet weights (`resnet50*.pth`, `densenet121*.pth`), with "
        "which trainings from scratch of these networks begin; nothing is downloaded.",
    )
    judging_patients: int = Field(
        1, ge=1, description="Patients who must judge a new model before it replaces the one that is served."
    )
    score_in_background: bool = Field(True, description="Score unlabelled images after start-up and each new model.")
    propose_in_background: bool = Field(
        True,
        description="Let a detector look at CT studies that arrive, and a classifier at ultrasound, so that they wait "
        "in `/qa`.",
    )
    reviews_database: SecretStr = Field(
        SecretStr(""),
        description="postgresql://user:password@host/database where several servers share what readers say in `/qa`; "
        "empty keeps it in the data folder.",
    )
    qa_readers: int = Field(1, ge=1, description="Readers of each study in `/qa`, who do not see what the others said.")
    qa_lease_s: float = Field(
        600.0, gt=0, description="Seconds for which a reader holds a study without a sign of life."
    )
    qa_known_every: int = Field(
        20, ge=0, description="One study in so many is a known case, as long as there are some; 0 for none."
    )
    qa_repeat_every: int = Field(
        25, ge=0, description="One study in so many is shown to its reader again, unsaid; 0 for none."
    )
    qa_min_iou: float = Field(
        0.5, gt=0, le=1, description="From which overlap on a new model's box inherits a verdict."
    )
    qa_manual_minutes: float = Field(15.0, gt=0, description="Minutes that boxing a study by hand takes.")
    qa_test_share: float = Field(
        0.2, ge=0, lt=1, description="Share of the reviewed patients who test detectors and never train them."
    )
    dicomweb_url: str = Field("", description="DICOMweb server behind `/proxy/dicom`; by default the one served.")
    dicomweb_username: str = _also(
        "dicomweb_username",
        "MONAI_LABEL_DICOMWEB_USERNAME",
        "",
        "Name for the DICOMweb server (basic authentication).",
    )
    dicomweb_password: SecretStr = _also(
        "dicomweb_password", "MONAI_LABEL_DICOMWEB_PASSWORD", SecretStr(""), "Password for the DICOMweb server."
    )
    dicomweb_token: SecretStr = Field(SecretStr(""), description="Bearer token for the DICOMweb server, instead.")
    dicomweb_stow: bool = Field(False, description="Let clients send studies to the DICOMweb server.")
    dicomweb_filter: str = Field(
        "",
        description="Which series of the DICOMweb server are listed, besides CT, XA and US: "
        "`StudyDate=20260101-&PatientID=HCC*`.",
    )
    dicomweb_poll_s: float = Field(
        30.0, gt=0, description="Seconds after which the DICOMweb server is asked for new series."
    )
    dicomweb_cache_mib: int = Field(
        20480, gt=0, description="Disk space for images fetched from the DICOMweb server; those unused longest go."
    )
    read_dicom_labels: bool = Field(
        True, description="Read DICOM segmentations and reports that lie beside the images as labels of them."
    )
    dicomweb_results: str = Field(
        "",
        description="What is written to the DICOMweb server by itself: labels, reviews, classes, separated by commas; "
        "nothing by default.",
    )
    dicomweb_timeout_s: float = _also(
        "dicomweb_timeout_s",
        "MONAI_LABEL_DICOMWEB_PROXY_TIMEOUT",
        30.0,
        "How long the DICOMweb server may say nothing.",
        gt=0,
    )
    dicomweb_qido_prefix: str = _also(
        "dicomweb_qido_prefix", "MONAI_LABEL_QIDO_PREFIX", "", "Path between the DICOMweb URL and searches."
    )
    dicomweb_wado_prefix: str = _also(
        "dicomweb_wado_prefix", "MONAI_LABEL_WADO_PREFIX", "", "Path between the DICOMweb URL and what is fetched."
    )
    dicomweb_stow_prefix: str = _also(
        "dicomweb_stow_prefix", "MONAI_LABEL_STOW_PREFIX", "", "Path between the DICOMweb URL and what is sent."
    )
    image_session_s: int = _also(
        "image_session_s",
        "MONAI_LABEL_SESSION_EXPIRY",
        3600,
        "Seconds after its last use for which a session's image is kept, at most.",
        gt=0,
    )

    auth: bool = _also("auth", "MONAI_LABEL_AUTH_ENABLE", False, "Ask for a login on this machine's own address, too.")
    oidc_issuer: str = _also(
        "oidc_issuer",
        "MONAI_LABEL_AUTH_REALM_URI",
        "",
        "Issuer of OpenID Connect logins (a realm's URL); setting it asks for logins.",
    )
    oidc_audience: str = Field("", description="Audience that tokens of the issuer must name; empty for the client id.")
    oidc_client_id: str = _also(
        "oidc_client_id", "MONAI_LABEL_AUTH_CLIENT_ID", "monailabel-app", "This server's name at the issuer."
    )
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="Its secret there, if the client is not public.")
    oidc_algorithms: str = Field(
        "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA",
        description="Signatures that are accepted on tokens of the issuer.",
    )
    oidc_timeout_s: float = _also(
        "oidc_timeout_s", "MONAI_LABEL_AUTH_TIMEOUT", 5.0, "Seconds after which the issuer is taken to be down.", gt=0
    )
    oidc_user_claim: str = _also(
        "oidc_user_claim", "MONAI_LABEL_AUTH_TOKEN_USERNAME", "preferred_username", "Claim that names the user."
    )
    oidc_roles_claim: str = _also(
        "oidc_roles_claim",
        "MONAI_LABEL_AUTH_TOKEN_ROLES",
        "realm_access#roles",
        "Claim that lists the roles; # leads into a claim.",
    )
    oidc_role_admin: str = _also(
        "oidc_role_admin", "MONAI_LABEL_AUTH_ROLE_ADMIN", "monailabel-admin", "The issuer's role for admins."
    )
    oidc_role_reviewer: str = _also(
        "oidc_role_reviewer",
        "MONAI_LABEL_AUTH_ROLE_REVIEWER",
        "monailabel-reviewer",
        "The issuer's role for reviewers.",
    )
    oidc_role_annotator: str = _also(
        "oidc_role_annotator",
        "MONAI_LABEL_AUTH_ROLE_ANNOTATOR",
        "monailabel-annotator",
        "The issuer's role for annotators.",
    )
    oidc_role_reader: str = _also(
        "oidc_role_reader", "MONAI_LABEL_AUTH_ROLE_USER", "monailabel-user", "The issuer's role for readers."
    )
    session_hours: float = Field(
        12.0, gt=0, description="How long a browser stays logged in by an API token; by an account, one hour at most."
    )
    slicer_downloads: bool = Field(
        True, description="Let 3D Slicer, which sends no token then, fetch the image it was just given to label."
    )
    request_limit: str = Field(
        "6000/minute", description="Requests of one user or address, where a login is needed; empty for no limit."
    )
    login_limit: str = Field(
        "5/minute; 20/hour; 100/day", description="Logins that may fail from one address before it has to wait."
    )

    @field_validator("dicomweb_results")
    @classmethod
    def _are_results(cls, names: str) -> str:
        chosen = sorted({name.strip().lower() for name in names.split(",")} - {""})
        if unknown := set(chosen) - set(RESULTS):
            raise ValueError(f"must be of {', '.join(RESULTS)}, separated by commas, not {ascii(min(unknown))[:40]}")
        return ",".join(chosen)

    @field_validator("data_dir_name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        path = PureWindowsPath(name)  # knows both separators, and drives
        if path.anchor or not path.parts or ".." in path.parts:
            raise ValueError("must lead to a folder below the studies: files move between the two, on one disk")
        return name

    def data_dir(self, studies: str | Path) -> Path:
        """Return the folder that holds everything hepatic writes about these studies.

        Args:
            studies: their folder, or the URL of the server they are on.
        """
        if not is_url(studies):
            return Path(studies) / self.data_dir_name
        if self.dicomweb_data_dir:
            return Path(self.dicomweb_data_dir).expanduser().absolute()
        home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        return home / "hepatic" / hashlib.sha256(str(studies).rstrip("/").encode()).hexdigest()[:16]


def is_url(studies: str | Path) -> bool:
    """Whether studies are on another server, not in a folder."""
    return str(studies).startswith(("http://", "https://"))


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings, read from the environment once per process."""
    return Settings()
