"""Make ``import monailabel`` work beside pydicom 3, numpy 2 and MONAI 1.6.

monailabel 0.8.5 imports packages at its top that hepatic neither needs nor wants in every installation: pydicom-seg
(unmaintained, broken with pydicom 3), itk (1.5 GB), girder-client and google-auth. Where one of them is missing,
``install`` puts a stand-in into ``sys.modules`` that does nothing until somebody calls it, and then says which package
to install; that of itk writes images, as MONAI Label's own inference tasks do. Where the real one is there, nothing is
done.

This module can go when monailabel is released with highdicom in place of pydicom-seg (its main branch is) and imports
the others where it uses them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from typing import Any, NoReturn

from hepatic.errors import HepaticError

EXTRA = "hepatic[monailabel-apps]"

_STAND_INS: dict[str, tuple[str, ...]] = {
    "pydicom_seg": (),
    "itk": (),
    "girder_client": (),
    "google.auth": ("google.auth.transport", "google.auth.transport.requests"),
}


class MissingPackageError(HepaticError, ImportError):
    """A stand-in was called: the package behind it is not installed."""


class _Missing(type):
    """Metaclass of the names in a stand-in: each is a class, so it can stand in an ``except`` clause or be a base."""

    package: str

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _missing(f"{cls.__name__}.{name}", cls.package)

    def __call__(cls, *_args: object, **_kwargs: object) -> NoReturn:
        if cls.package == "pydicom_seg":
            fix = "pydicom-seg is unmaintained and does not work with pydicom 3; use hepatic's own DICOM SEG output."
        else:
            fix = f"Install the packages foreign MONAI Label apps need: pip install '{EXTRA}'"
        raise MissingPackageError(f"{cls.__name__} was called, but '{cls.package}' is not installed. {fix}")


def _missing(name: str, package: str) -> type:
    return _Missing(name, (Exception,), {"package": package})


class _StandIn(types.ModuleType):
    """A module that can be imported, handed around and asked for names, but not used."""

    def __init__(self, name: str) -> None:
        super().__init__(name, doc=f"Stand-in of hepatic for {name}, which is not installed.")
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _missing(f"{self.__name__}.{name}", self.__name__.split(".")[0])


def itk_by_simpleitk() -> dict[str, Any]:
    """What MONAI Label's Writer calls of itk, done by SimpleITK, which is the same ITK in a twentieth of the size."""

    def image_from_array(array: Any) -> Any:
        import SimpleITK

        return SimpleITK.GetImageFromArray(array)

    def imwrite(image: Any, file: str, compression: bool = False) -> None:
        import SimpleITK

        SimpleITK.WriteImage(image, str(file), bool(compression))

    return {
        "image_from_array": image_from_array,
        "imwrite": imwrite,
        "matrix_from_array": lambda matrix: matrix.ravel().tolist(),
        "size": lambda image: image.GetSize(),
    }


def _is_missing(name: str) -> bool:
    if name in sys.modules:
        return False
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:  # a parent package is missing
        return True


def install() -> tuple[str, ...]:
    """Put stand-ins where packages are missing; safe to call any number of times.

    Returns:
        Names of the modules for which a stand-in was put in place by this call.
    """
    if _is_missing("mlflow"):  # else every training of a stock task would fail for want of it
        os.environ.setdefault("MONAI_LABEL_TRACKING_ENABLED", "false")
    if _is_missing("itk"):
        importlib.import_module("monai.data")  # so that MONAI learns that there is no itk before a stand-in is there
    placed = []
    for name, children in _STAND_INS.items():
        if not _is_missing(name):
            continue
        parent = name.rpartition(".")[0]
        if parent and _is_missing(parent):
            sys.modules[parent] = _StandIn(parent)
        for module in (name, *children):
            sys.modules[module] = _StandIn(module)
            above, _, below = module.rpartition(".")
            if above:
                setattr(sys.modules[above], below, sys.modules[module])
        placed.append(name)
    if "itk" in placed:
        sys.modules["itk"].__dict__.update(itk_by_simpleitk())
    return tuple(placed)
