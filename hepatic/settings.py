"""Settings of the library, from ``HEPATIC_*`` environment variables."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything that can be set from outside, with its default."""

    model_config = SettingsConfigDict(env_prefix="HEPATIC_", extra="ignore")

    device: str = Field("auto", description="Where networks run: auto, cpu, cuda, cuda:1 ...")
    threads: int = Field(0, ge=0, description="CPU threads of one inference worker; 0 lets torch choose.")
    cache_mib: int = Field(1024, ge=0, description="Memory for decoded images and prepared tensors in each worker.")
    max_pixels: int = Field(
        2_000_000_000, gt=0, description="Largest image that is decoded, in pixels over all frames."
    )
    max_upload_mib: int = Field(4096, gt=0, description="Largest upload that is accepted.")
    data_dir_name: str = Field(
        ".hepatic", description="Folder below the studies that holds index, labels, runs, models."
    )
    workers: int = Field(1, ge=1, description="Inference worker processes.")
    queue_limit: int = Field(64, ge=1, description="Requests that may wait for a worker; more are answered with 503.")
    training_devices: str = Field(
        "auto", description="Devices for trainings, one at a time on each: cuda:0,cuda:1 or cpu; auto takes every GPU."
    )
    score_in_background: bool = Field(True, description="Score unlabelled images after start-up and each new model.")
    dicomweb_url: str = Field("", description="DICOMweb server behind `/proxy/dicom`; by default the one served.")
    dicomweb_username: str = Field("", description="Name for the DICOMweb server (basic authentication).")
    dicomweb_password: SecretStr = Field(SecretStr(""), description="Password for the DICOMweb server.")
    dicomweb_token: SecretStr = Field(SecretStr(""), description="Bearer token for the DICOMweb server, instead.")
    dicomweb_stow: bool = Field(False, description="Let clients send studies to the DICOMweb server.")
    dicomweb_timeout_s: float = Field(30.0, gt=0, description="How long the DICOMweb server may say nothing.")

    def data_dir(self, studies: Path) -> Path:
        """Return the folder that holds everything hepatic writes about these studies."""
        return studies / self.data_dir_name


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings, read from the environment once per process."""
    return Settings()
