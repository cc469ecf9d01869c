"""What was reviewed of images that have left without their patients, as structured reports beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from hepatic.errors import BadInputError
from hepatic.harvest.book import Review
from hepatic.harvest.classified_studies import classified_study
from hepatic.harvest.export.class_reports import class_reports
from hepatic.harvest.export.pseudonymous import pseudonymous, pseudonymous_classified
from hepatic.harvest.export.structured_report import structured_reports
from hepatic.harvest.noted_class import is_taken_back
from hepatic.harvest.reviewed_studies import reviewed_study
from hepatic.harvest.rules import Rules
from hepatic.harvest.store import FOLDER, ReviewStore
from hepatic.io.dicom_instance import Instance
from hepatic.release.leaving import Leaving, Left
from hepatic.settings import settings
from hepatic.store.label import FINAL
from hepatic.store.store import Store
from server.harvest import rules_of


def reviews_of(data: Path) -> list[Review]:
    """Return what somebody has begun to review of the studies with this data folder."""
    chosen = settings()
    url = chosen.reviews_database.get_secret_value()
    if not url and not (data / FOLDER).is_dir():
        return []
    with closing(ReviewStore(data / FOLDER, rules=rules_of(chosen), url=url)) as store:
        return [review for review in store.book.reviews().values() if review.readings]


def images_of(review: Review) -> list[str]:
    """Return the ids of the images that its reports are about."""
    study = review.study
    if study.kind == "classification":
        return [one.image_id for one in study.candidates]
    return [study.image_ids[study.reference]]


def write_reviews(reviews: Iterable[Review], left: Mapping[str, Left], leaving: Leaving, store: Store) -> None:
    """Write what counts in the end: verdicts where the image has no label, classes where it has none that says one.

    A class that somebody took back at its image stays. What cannot be written is told in the report of what left.

    Args:
        reviews: of studies.
        left: the images that have left, by id.
        leaving: with which they did.
        store: of the images.
    """
    rules = rules_of(settings())
    for review in reviews:
        for image_id, made in _reports(review, rules, left, leaving, store):
            folder = left[image_id].image[0].parent
            made.save_as(folder / f"{made.SOPInstanceUID}.dcm", enforce_file_format=True)
            leaving.report.objects["written"] += 1


def _reports(
    review: Review, rules: Rules, left: Mapping[str, Left], leaving: Leaving, store: Store
) -> Iterator[tuple[str, Dataset]]:
    """Yield the reports of a review with the image each is about; each has the same series in every export."""
    names, note = leaving.by.pseudonyms, review.study.note

    def instance(of: str, _: str) -> Instance:
        return replace(Instance.new(), series_uid=names.uid(f"review of {of}"))

    try:
        if review.study.kind == "classification":
            study = classified_study(review, rules)
            for here, image in zip(study.images, pseudonymous_classified(study, names).images, strict=True):
                files = left.get(here.image_id)
                if files is None or image.name is None or note in files.notes:
                    continue
                if is_taken_back(store.labels.history(here.image_id, FINAL), note):
                    continue
                own = partial(instance, f"{here.image_id}, {note}")
                _, made = next(class_reports(image, note, files.image, instance=own))
                yield here.image_id, made
            return
        reviewed = reviewed_study(review, rules)
        files = left.get(reviewed.reference_image)
        if files is None or files.label or not any(one.verdict for one in reviewed.candidates):
            return
        documents = structured_reports(
            pseudonymous(reviewed, names), files.image, instance=partial(instance, review.uid)
        )
        yield reviewed.reference_image, documents[0].dataset
    except BadInputError as reason:
        leaving.report.left_out[f"review of {review.uid}"] = str(reason)
