"""Our own app over simulated ultrasound, served; and the page of a case in a browser."""

import time
from contextlib import contextmanager

import numpy as np
import pydicom
import requests
from pydicom.tag import Tag
from pydicom.uid import generate_uid

from hepatic.io.dicom_pixels import put_pixels
from sample_data.ceus import write_ceus
from sample_data.ceus.show import Style
from sample_data.truth import read_truth
from sample_data.us import write_us
from server.app import create_app
from server.running import running

from .conftest import ROOT

SAVED = "document.querySelector('#badge').innerText == 'Saved'"
ANSWERED = "/%/.test(document.querySelector('#bars').innerText)"
CURVE = "document.querySelector('#curve').ariaBusy == 'false'"
PLACE = "JSON.parse(JSON.stringify(document.querySelector('#picture').getBoundingClientRect()))"
PIXELS = """(() => {
    const one = document.querySelector('#picture');
    const { data } = one.getContext('2d').getImageData(0, 0, one.width, one.height);
    return data.reduce((sum, value, n) => (sum * 31 + value * (n % 97)) % 1000003, 0);
})()"""


class CasePage:
    """A page and what a reader sees of it."""

    def __init__(self, browser, served, reader="anna"):
        self.browser, (self.app, self.address, self.ids), self.reader = browser, served, reader

    def open(self, path):
        self.browser.open(f"{self.address}{path}?reader={self.reader}")
        self.until("document.body.dataset.ready")

    def case(self, which):
        self.open(f"/cases/{self.ids[which]}")
        self.until(f"{ANSWERED} && document.querySelector('#stage').ariaBusy == 'false'")

    def until(self, script):
        return self.browser.until(script, limit_s=90)

    def text(self, selector):
        return self.browser.run(f"document.querySelector({selector!r})?.innerText || ''")

    def press(self, *keys):
        for key in keys:
            self.browser.press(key)

    def says(self, key):
        """Press a key that saves something, and wait until it is saved."""
        self.browser.run("document.querySelector('#badge').textContent = ''")
        self.press(key)
        self.until(SAVED)

    def drag(self, which, box, **how):
        """Drag a box (left, top, right, bottom in pixels of the picture), and wait until it is saved."""
        edge = self.browser.run(PLACE)
        scale = edge["width"] / self.told(which)["picture"]["width"]
        self.browser.run("document.querySelector('#badge').textContent = ''")
        self.browser.drag(*((edge["left"] + scale * x, edge["top"] + scale * y) for x, y in (box[:2], box[2:])), **how)
        self.until(SAVED)

    def told(self, which):
        return requests.get(f"{self.address}/cases/api/v1/images/{self.ids[which]}", timeout=60).json()


@contextmanager
def served_ultrasound(out):
    """Yield the app, its address, and the ids of a ``still`` and of a ``cine``."""
    write_us(out, 2, seed=3, size="tiny", kind="hcc")
    write_ceus(out, 1, seed=1, size="tiny")
    truth = read_truth(out)["images"]
    ids = {
        "still": next(image for image, about in truth.items() if about["patient"].startswith("US")),
        "cine": next(image for image, about in truth.items() if "echo_onset_s" in about),
    }
    with served(out / "studies") as (app, address):
        yield app, address, ids


@contextmanager
def served(studies):
    """Yield our own app over a folder of studies, without a login, and its address, once it is ready."""
    app = create_app(ROOT / "apps" / "hepatic", studies, score_in_background=False, auth=False)
    with running(app) as address:
        while requests.get(f"{address}/ready", timeout=10).status_code != 200:
            time.sleep(0.1)
        yield app, address


def write_odd_cines(out):
    """Write one side-by-side cine in grey in several ways; return the ids of the images by what is odd about them."""
    style = Style(colour=False, side_by_side=True, even=True)
    ((_, file),) = write_ceus(out, 1, seed=1, size="tiny", style=style)
    source = pydicom.dcmread(file)
    frames = source.pixel_array
    steps = np.r_[np.full(37, 2000), np.full(4, 30000)]
    at_2_s = np.arange(len(frames)) * 2000
    uneven = np.abs(at_2_s - np.r_[0, np.cumsum(steps)][:, None]).argmin(axis=1)
    last = len(frames) - 1
    cines = {
        "long": (np.linspace(0, last, 400).round().astype(int), {"FrameTime": 500.0}),
        "single": (np.array([last // 2]), {"FrameTime": 2000.0}),
        "uneven": (uneven, {"FrameTimeVector": [0, *steps.tolist()]}),
        "untimed": (np.arange(len(frames)), {}),
        "played": (np.arange(len(frames)), {"CineRate": 5}),
    }
    ids = {"pair": str(source.SeriesInstanceUID)}
    for name, (chosen, times) in cines.items():
        ds = pydicom.dcmread(file)
        ds.decompress()
        for said in ("FrameTime", "FrameTimeVector", "FrameIncrementPointer", "RecommendedDisplayFrameRate"):
            if said in ds:
                delattr(ds, said)
        ds.SeriesDescription = name
        ds.SOPInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.NumberOfFrames = ds.StopTrim = len(chosen)
        put_pixels(ds, frames[chosen])
        for said, value in times.items():
            setattr(ds, said, value)
            if said != "CineRate":
                ds.FrameIncrementPointer = Tag(said)
        ds.save_as(file.with_name(f"{name}.dcm"), enforce_file_format=True)
        ids[name] = str(ds.SeriesInstanceUID)
    return ids
