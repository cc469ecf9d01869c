"""Where a label goes that was found: it replaces nothing that a reader here, or another object, has said."""

import json
from contextlib import closing

import pytest

from hepatic.errors import BadInputError, ConflictError
from hepatic.io.dicom_label_header import LabelHeader
from hepatic.io.markups import ROI, encode_rois
from hepatic.pacs.inbox import Inbox
from hepatic.store.folder import FolderStore
from hepatic.store.label import FINAL, ORIGINAL
from server.pacs.existing import Existing
from server.pacs.found_label import FURTHER, save_found
from tests.store.test_images import StubHeader

KNOWN = {"lesion_type": ["hcc", "metastasis", "cyst"]}
SEG, OTHER_SEG, REPORT = "1.2.1", "1.2.2", "1.2.3"


class Shelf:
    """A store of one image, and the record of what was found."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "studies").mkdir()
        (folder / "studies" / "a.nrrd").touch()
        self.store = FolderStore(folder / "studies", header=lambda path: StubHeader())
        self.store.rescan()
        self.labels, self.inbox = self.store.labels, Inbox(folder / "inbox.sqlite")

    def found(self, content, series=SEG, number=1, *, tag=FINAL, tracking=(), classes=None, drawn=(), names=()):
        """Save what an object says; its number is also the time at which it was made, HHMMSS."""
        info = {"classes": classes} if classes else {}
        info |= {"label_info": [{"name": name, "idx": idx} for idx, name in enumerate(names, 1)]} if names else {}
        label = Existing(
            tag=tag, file=self._file(content), author="", model="", model_version="", info=info, drawn=drawn,
            tracking=tracking,
        )  # fmt: skip
        header = LabelHeader(f"{series}.{number}", series, f"20260101 {number:06d}.000000 {number:012d}", {})
        return save_found(self.store, self.inbox, "a", label, header, known=KNOWN)

    def said(self, content, tag=FINAL, **info):
        """Save what a reader says."""
        return self.labels.save("a", tag, self._file(content), author="ann", info=info)

    def _file(self, content):
        file = self.folder / "label.json"
        file.write_text(content)
        return file

    @property
    def noted(self):
        return self.store.images.get("a").info.get("lesion_type") or ""

    def said_of(self, tag):
        return self.labels.latest("a", tag).info["classes"]

    @property
    def heads(self):
        """What counts, by tag."""
        heads = [self.labels.latest("a", tag) for tag in self.labels.tags("a")]
        return {one.tag: self.labels.path(one).read_text() for one in heads}


@pytest.fixture
def shelf(tmp_path):
    made = Shelf(tmp_path)
    with closing(made.store), closing(made.inbox):
        yield made


def test_a_newer_object_of_a_series_replaces_the_older_one_in_whatever_order_they_are_read(shelf):
    assert shelf.found("second", number=2) == FINAL
    assert shelf.found("first", number=1) == ""
    assert shelf.found("third", number=3) == FINAL
    assert shelf.found("third", number=3) == "", "it was read already"
    assert shelf.heads == {FINAL: "third"}
    assert len(shelf.labels.history("a", FINAL)) == 2


def test_objects_of_two_series_do_not_replace_each_other(shelf):
    for number in (1, 2, 3):
        shelf.found(f"seg {number}", SEG, number)
        shelf.found(f"other {number}", OTHER_SEG, number)
        shelf.found(f"report {number}", REPORT, number, tracking=("1.9",))
    assert shelf.heads == {FINAL: "seg 3", "pacs": "other 3", "pacs-2": "report 3"}


def test_what_a_reader_corrected_stands_under_every_tag(shelf):
    shelf.found("seg 1")
    shelf.said("corrected")
    shelf.found("seg 2", number=2)
    assert shelf.heads == {FINAL: "corrected", "pacs": "seg 2"}
    shelf.said("corrected, too", "pacs")
    shelf.found("seg 3", number=3)
    assert shelf.heads == {FINAL: "corrected", "pacs": "corrected, too", "pacs-2": "seg 3"}


def test_a_class_that_a_reader_changed_stands_too(shelf):
    shelf.found("seg 1", classes={"phase": "venous"})
    assert shelf.inbox.is_found(shelf.labels.latest("a", FINAL))
    shelf.labels.update_info("a", FINAL, {"seen": True})
    assert shelf.inbox.is_found(shelf.labels.latest("a", FINAL))
    shelf.labels.update_info("a", FINAL, {"classes": {"phase": "arterial"}})
    assert not shelf.inbox.is_found(shelf.labels.latest("a", FINAL))
    shelf.found("seg 2", number=2)
    assert shelf.heads == {FINAL: "seg 1", "pacs": "seg 2"}


def test_what_is_drawn_under_the_name_of_a_class_says_it_and_stays_a_label_that_was_found(shelf):
    shelf.found("seg 1", drawn=["liver", "Metastasis"])
    assert (shelf.noted, shelf.said_of(FINAL)) == ("metastasis", {"lesion_type": "metastasis"})
    assert shelf.inbox.is_found(shelf.labels.latest("a", FINAL))
    shelf.found("seg 2", number=2, drawn=["cyst"])
    assert (shelf.heads, shelf.noted) == ({FINAL: "seg 2"}, "cyst")
    shelf.found("seg 3", number=3, drawn=["liver"])
    assert (shelf.heads, shelf.noted) == ({FINAL: "seg 3"}, "")


@pytest.mark.parametrize("says", [{"drawn": ["metastasis"]}, {"classes": {"lesion_type": "metastasis"}}])
def test_a_note_of_a_reader_stands(shelf, says):
    shelf.store.images.update_info("a", {"lesion_type": "hcc"})
    shelf.found("seg 1", **says)
    assert (shelf.noted, shelf.said_of(FINAL)) == ("hcc", {"lesion_type": "metastasis"})
    shelf.found("seg 2", number=2, drawn=["hcc"])
    shelf.found("seg 3", number=3)
    assert (shelf.heads, shelf.noted) == ({FINAL: "seg 3"}, "hcc")


def test_a_note_that_a_reader_set_meanwhile_stands(shelf):
    shelf.found("seg 1", drawn=["metastasis"])
    shelf.store.images.update_info("a", {"lesion_type": "hcc"})
    shelf.found("seg 2", number=2, drawn=["cyst"])
    assert (shelf.heads, shelf.noted) == ({FINAL: "seg 2"}, "hcc")


def test_only_a_final_label_s_classes_are_noted_and_none_that_there_are_not(shelf):
    shelf.found("by an algorithm", tag=ORIGINAL, drawn=["cyst"])
    shelf.store.images.update_info("a", {"mood": "good"})
    shelf.found("seg 0", classes={"mood": "good"})
    shelf.found("seg 1", number=2, classes={"mood": "good"})
    assert shelf.noted == ""
    assert shelf.store.images.get("a").info["mood"] == "good"
    assert shelf.said_of(FINAL) == {"mood": "good"}
    shelf.found("of another", OTHER_SEG, drawn=["cyst"])
    assert (shelf.heads["pacs"], shelf.noted) == ("of another", "")


def test_whether_an_image_is_fit_to_learn_from_comes_with_its_class(shelf):
    said = {"lesion_type": "cyst", "eligibility": "shadow"}
    shelf.found("sr 1", classes=said)
    assert (shelf.noted, shelf.said_of(FINAL)) == ("cyst", said)
    assert shelf.store.images.get("a").info["eligibility"] == "shadow"
    shelf.found("sr 2", number=2, drawn=["shadow"])
    assert "eligibility" not in shelf.labels.latest("a", FINAL).info.get("classes", {}), "a name is no such word"


def test_nothing_that_is_written_beside_a_label_makes_it_one_that_was_found(shelf):
    found = {"sop_uid": f"{SEG}.1", "series_uid": SEG, "version": 1, "tracking": []}
    mine = shelf.said("mine", pacs=found, version=1)
    assert not shelf.inbox.is_found(mine)
    shelf.found("seg 1")
    shelf.labels.update_info("a", FINAL, {"pacs": shelf.labels.latest("a", "pacs").info["pacs"]})
    shelf.found("seg 2", number=2)
    assert shelf.heads == {FINAL: "mine", "pacs": "seg 2"}


def test_what_a_reader_saves_meanwhile_is_not_covered(shelf, monkeypatch):
    shelf.found("seg 1")
    save = shelf.labels.save

    def slow(*args, **options):
        monkeypatch.setattr(shelf.labels, "save", save)
        content = args[2].read_text()
        shelf.said("meanwhile")
        args[2].write_text(content)
        return save(*args, **options)

    monkeypatch.setattr(shelf.labels, "save", slow)
    assert shelf.found("seg 2", number=2) == "pacs"
    assert shelf.heads == {FINAL: "meanwhile", "pacs": "seg 2"}
    assert not shelf.inbox.is_found(shelf.labels.latest("a", FINAL))


def test_who_never_gets_a_turn_says_so_and_records_nothing(shelf, monkeypatch):
    def refused(*args, **options):
        raise ConflictError("label", expected="its history", came="another", fix="Look again.")

    monkeypatch.setattr(shelf.labels, "save", refused)
    with pytest.raises(ConflictError):
        shelf.found("seg 1")
    assert shelf.inbox.origins("a") == []


def test_reports_of_the_same_findings_are_one_label_and_those_without_uids_are_not(shelf):
    assert shelf.found("in space", REPORT, tracking=("1.9.1", "1.9.2")) == FINAL
    assert shelf.found("on slices", "1.2.4", tracking=("1.9.2",)) == ""
    assert shelf.found("of others", "1.2.5", tracking=("1.9.3",)) == "pacs"
    assert shelf.found("without", "1.2.6") == "pacs-2"
    assert shelf.found("without, too", "1.2.7") == "pacs-3"
    shelf.said("corrected")
    assert shelf.found("on slices again", "1.2.4", 2, tracking=("1.9.2",)) == ""


def report(x, name="lesion", uid="1.9.1"):
    return encode_rois([ROI((x, 0, 0, 9, 9, 9), name, {"candidate": uid, "class": name})]).decode()


MOVED, SAME = report(2.0), report(1.05)


@pytest.mark.parametrize(
    ("content", "classes", "at", "tag"),
    [
        (MOVED, None, 3000, "pacs"),
        (report(1.0, "cyst"), None, 3000, "pacs"),
        (SAME, {"lesion_type": "cyst"}, 3000, "pacs"),
        (SAME, None, 3000, ""),
        (MOVED, None, 1010, ""),  # on slices, along with that in space
        (MOVED, None, 1, ""),
    ],
)
def test_a_later_report_that_corrects_one_of_another_series_is_kept_beside_it(shelf, content, classes, at, tag):
    shelf.found(report(1.0), REPORT, 1000, tracking=("1.9.1",))
    assert shelf.found(content, "1.2.4", at, tracking=("1.9.1",), classes=classes) == tag
    assert shelf.found(content, "1.2.4", at, tracking=("1.9.1",), classes=classes) == "", "it was looked at"
    assert shelf.heads[FINAL] == report(1.0)


def test_objects_of_one_series_about_other_structures_do_not_hide_each_other(shelf):
    assert shelf.found("liver", names=["liver"]) == FINAL
    assert shelf.found("tumour", number=2, names=["tumour"]) == "pacs"
    assert shelf.found("liver 3", number=3, names=["liver"]) == FINAL
    assert shelf.found("tumour 4", number=4, names=["tumour"]) == "pacs"
    assert shelf.found("tumour 1", number=1, names=["tumour"]) == "", "there is a newer one"
    assert shelf.heads == {FINAL: "liver 3", "pacs": "tumour 4"}


def test_a_newer_object_that_names_more_replaces_and_one_that_names_less_does_not(shelf):
    shelf.found("liver", names=["liver"])
    assert shelf.found("both", number=2, names=["liver", "tumour"]) == FINAL
    assert shelf.found("late, but older", number=1, names=["tumour"]) == ""
    assert shelf.found("liver 3", number=3, names=["liver"]) == "pacs"
    assert shelf.heads == {FINAL: "both", "pacs": "liver 3"}


def test_both_parts_of_a_segmentation_are_kept_where_readers_have_labels_of_both_tags(shelf):
    shelf.said("mine")
    shelf.said("mine, too", ORIGINAL)
    assert [shelf.found("by hand"), shelf.found("by an algorithm", tag=ORIGINAL)] == ["pacs", "pacs-2"]
    assert shelf.heads["pacs"] == "by hand"


def test_what_was_read_before_the_record_was_lost_is_not_kept_twice(shelf, tmp_path):
    shelf.found("seg 1")
    shelf.found("seg 2", number=2)
    with closing(Inbox(tmp_path / "new.sqlite")) as shelf.inbox:
        head = shelf.labels.latest("a", FINAL)
        assert shelf.inbox.is_unsure(head), "it is not sent before it is known whose it is"
        assert [shelf.found("seg 1"), shelf.found("seg 2", number=2)] == ["", ""]
        assert shelf.heads == {FINAL: "seg 2"}
        assert shelf.inbox.is_found(head)
        assert not shelf.inbox.is_unsure(head)
        assert shelf.found("seg 3", number=3) == FINAL


def test_what_a_reader_said_before_the_record_was_lost_stays_a_reader_s(shelf, tmp_path):
    shelf.found("seg 1")
    shelf.said("corrected")
    restored = shelf.labels.restore("a", FINAL, 1)
    with closing(Inbox(tmp_path / "new.sqlite")) as shelf.inbox:
        assert shelf.found("seg 1") == ""
        assert not shelf.inbox.is_found(restored)
        assert not shelf.inbox.is_unsure(restored)
        assert shelf.found("seg 2", number=2) == "pacs"


def test_a_class_that_was_noted_after_it_was_found_does_not_make_an_older_label_ours(shelf, tmp_path):
    """Versions before noted classes, by names too, after a label was saved."""
    shelf.found("seg 1")
    shelf.labels.update_info("a", FINAL, {"classes": {"lesion_type": "cyst"}})
    with closing(Inbox(tmp_path / "new.sqlite")) as shelf.inbox:
        assert shelf.found("seg 1", drawn=["cyst"]) == ""
        assert shelf.inbox.is_found(shelf.labels.latest("a", FINAL))


def test_a_removed_label_stays_removed_until_something_new_is_found(shelf):
    shelf.found("seg 1")
    shelf.labels.remove("a", FINAL)
    assert shelf.found("seg 1") == ""
    assert shelf.found("seg 2", number=2) == FINAL


def test_there_are_as_many_tags_as_anybody_looks_at(shelf):
    tags = [shelf.found(f"seg {n}", f"1.3.{n}") for n in range(len(FURTHER) + 1)]
    assert tags == [FINAL, *FURTHER]
    with pytest.raises(BadInputError):
        shelf.found("one more", "1.4")
    assert json.dumps(shelf.heads).count("seg") == len(tags)
