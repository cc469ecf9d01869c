"""What is told of a DICOMweb server that does not answer as it should; never its address, never a password."""

from __future__ import annotations

from hepatic.errors import HepaticError


class PacsError(HepaticError):
    """The DICOMweb server cannot be reached, or its answer is of no use. Nothing was lost: ask again later.

    Args:
        status: the HTTP status with which a client of ours is told (502, 503 or 504).
        told: a sentence for the client.
        answered: the HTTP status with which the server itself said that it could not; 0 where it said nothing of use.
    """

    def __init__(self, status: int, told: str, *, answered: int = 0) -> None:
        super().__init__(status, told)
        self.status, self.told, self.answered = status, told, answered

    def __str__(self) -> str:
        return self.told


class PacsDownError(PacsError):
    """Nothing can be had from the DICOMweb server at the moment, whatever is asked for."""


def unreachable() -> PacsError:
    """Nobody listens there, or the connection broke before an answer."""
    return PacsDownError(502, "The DICOM server cannot be reached. Is it running, and HEPATIC_DICOMWEB_URL right?")


def silent(silence_s: float) -> PacsError:
    """It took the request and said nothing, or next to nothing."""
    return PacsDownError(504, f"The DICOM server said nothing for {silence_s:g} s (HEPATIC_DICOMWEB_TIMEOUT_S).")


def refuses(status: int) -> PacsError:
    """It wants another name, password or token."""
    return PacsDownError(
        502,
        f"The DICOM server refuses this server ({status}): check HEPATIC_DICOMWEB_USERNAME, _PASSWORD, _TOKEN.",
        answered=status,
    )


def elsewhere(status: int) -> PacsError:
    """It redirects."""
    return PacsDownError(
        502,
        f"The DICOM server points elsewhere ({status}), which is not followed: check HEPATIC_DICOMWEB_URL.",
        answered=status,
    )


def failed(status: int) -> PacsError:
    """It says itself that it could not do it."""
    if status in (429, 503):
        told = f"The DICOM server is being asked too much ({status}); try again in a moment."
        return PacsDownError(503, told, answered=status)
    return PacsError(502, f"The DICOM server could not answer ({status}); its own log says why.", answered=status)


def nonsense(why: str) -> PacsError:
    """What it answered is not what DICOMweb says it should be.

    Args:
        why: continues "The DICOM server's answer cannot be understood:".
    """
    return PacsError(502, f"The DICOM server's answer cannot be understood: {why}.")
