"""The places where something is written for good: how it is done, and what must be true after a crash."""

import hashlib
import shutil
from pathlib import Path

from hepatic.io.header import header
from hepatic.store.folder import FolderStore
from tests.harvest.proposed import decide, finish, proposed
from tests.store.studies import write_ct_slice

_NRRD = b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 50 50 4\nencoding: raw\n\n"


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class _OfStudies:
    def prepare(self, folder):
        (folder / "case.nrrd").write_bytes(_NRRD + bytes(10_000))
        store = self.open(folder)
        store.close()

    def open(self, folder):
        store = FolderStore(folder, header=header)
        store.rescan()
        return store


class SavedLabel(_OfStudies):
    """A label: file and row."""

    def run(self, folder, seed, acknowledge):
        store = self.open(folder)
        source = folder.parent / f"label{seed}.nrrd"
        for number in range(1000):
            source.write_bytes(f"label {seed} {number} ".encode() * 2000)
            saved = store.labels.save("case", "final", source, info={"label_info": [{"name": "tumour"}]})
            acknowledge({"version": saved.version, "sha256": sha256(source)})

    def check(self, folder, acknowledged):
        store = self.open(folder)
        history = {label.version: label for label in store.labels.history("case", "final")}
        for told in acknowledged:
            assert history[told["version"]].sha256 == told["sha256"], "an acknowledged version is another one"
        assert sorted(history) == list(range(1, len(history) + 1))
        for label in history.values():
            path = store.labels.path(label)
            assert sha256(path) == label.sha256
            assert path.read_bytes().endswith(b" ")
            assert path.stat().st_size == label.bytes >= 20000
        files = list((folder / ".hepatic/labels/case/final").glob("[!.]*")) if history else []
        assert len(files) == len(history), "a label file without its row"
        assert len(store.labels.labelled("final")) == bool(history)
        store.close()


class AddedImage(_OfStudies):
    """An uploaded image: file and index."""

    def run(self, folder, seed, acknowledge):
        store = self.open(folder)
        for number in range(1000):
            source = folder.parent / f"source{seed}.nrrd"
            source.write_bytes(_NRRD + f"{seed:5d}{number:5d}".encode() * 1000)
            image_id = store.add_image(source, image_id=f"new{seed}-{number}", info={"note": number})
            acknowledge({"id": image_id, "sha256": sha256(source), "note": number})

    def check(self, folder, acknowledged):
        store = self.open(folder)
        for told in acknowledged:
            [file] = store.files(told["id"])
            assert sha256(file) == told["sha256"]
            assert store.images.get(told["id"]).info["note"] == told["note"]
        for path in folder.glob("*"):
            assert path.name == ".hepatic" or path.stat().st_size > 100, "a half-written file"
        assert len(store.images.ids()) == len(list(folder.glob("*.nrrd")))
        assert not store.images.unread(), "something half-written is seen"
        store.close()


class AddedSeries(_OfStudies):
    """An uploaded series: all its files or none."""

    def prepare(self, folder):
        super().prepare(folder)
        for k in range(3):
            write_ct_slice(folder.parent / f"slice{k}", series="1.2.3.00000.00000", study="1.2.3", k=k)

    def run(self, folder, seed, acknowledge):
        store = self.open(folder)
        for number in range(1000):
            sources = [folder.parent / f"sent{seed}-{k}.dcm" for k in range(3)]
            for k, source in enumerate(sources):
                slice_ = (folder.parent / f"slice{k}").read_bytes()
                source.write_bytes(slice_.replace(b"1.2.3.00000.00000", f"1.2.3.{seed:05d}.{number:05d}".encode()))
            image_id = store.add_series(sources, info={"note": number})
            acknowledge({"id": image_id, "note": number, "sha256": sorted(map(sha256, sources))})

    def check(self, folder, acknowledged):
        store = self.open(folder)
        for told in acknowledged:
            assert sorted(map(sha256, store.files(told["id"]))) == told["sha256"]
            assert store.images.get(told["id"]).info["note"] == told["note"]
        for image_id in store.images.ids():
            assert len(store.files(image_id)) == (1 if image_id == "case" else 3), "a part of a series"
        store.close()


class RemovedSeries(AddedSeries):
    """A series with its label, moved away: all of its files and the label, or nothing."""

    def prepare(self, folder):
        super().prepare(folder)
        (folder.parent / "label.nrrd").write_bytes(_NRRD + bytes(10_000))
        store = self.open(folder)
        for number in range(2):
            self.add(store, f"1.2.3.00000.{number:05d}")
        store.close()

    def add(self, store, series):
        folder = store.root.parent
        sources = [folder / f"sent-{series}-{k}.dcm" for k in range(3)]
        for k, source in enumerate(sources):
            source.write_bytes((folder / f"slice{k}").read_bytes().replace(b"1.2.3.00000.00000", series.encode()))
        store.labels.save(store.add_series(sources), "final", folder / "label.nrrd")

    def run(self, folder, seed, acknowledge):
        store = self.open(folder)
        for number in range(1000):
            for image_id in store.labels.labelled("final"):
                store.remove_image(image_id)
                acknowledge({"removed": image_id})
            self.add(store, f"1.2.3.{seed:05d}.{number:05d}")

    def check(self, folder, acknowledged):
        store = self.open(folder)
        there = store.images.ids()
        for told in acknowledged:
            assert told["removed"] not in there
        for image_id in set(there) - {"case"}:
            assert len(store.files(image_id)) == 3, "a part of a series"
            assert store.images.get(image_id).size == (4, 4, 3)
        away = list((folder / ".hepatic" / "removed").glob("*/*"))
        for image in away:  # one that was cut off is empty, another whole
            assert len([file for file in image.rglob("*") if file.is_file()]) in (0, 3)
        removed = {label.parts[-2] for label in (folder / ".hepatic" / "labels").glob("*/final")} - set(there)
        for image_id in removed:
            assert store.labels.history(image_id, "final")[-1].removed, "a label without its image"
        assert store.labels.heads() == [store.labels.latest(i, "final") for i in store.labels.labelled("final")]
        store.close()


class RemovedLabel(_OfStudies):
    """A label taken out of use: a tombstone after its versions, which stay."""

    def run(self, folder, seed, acknowledge):
        store = self.open(folder)
        source = folder.parent / f"label{seed}.nrrd"
        source.write_bytes(_NRRD + bytes(10_000))
        for _ in range(1000):
            saved = store.labels.save("case", "final", source)
            removed = store.labels.remove("case", "final")
            acknowledge({"saved": saved.version, "removed": removed.version})

    def check(self, folder, acknowledged):
        store = self.open(folder)
        history = store.labels.history("case", "final")
        assert [label.version for label in history] == list(range(1, len(history) + 1))
        for told in acknowledged:
            assert store.labels.path(history[told["saved"] - 1]).stat().st_size > 10_000
            assert history[told["removed"] - 1].removed
        counts = [label.image_id for label in store.labels.heads()]
        assert counts == (["case"] if history and not history[-1].removed else [])
        store.close()


class NotedInfo(_OfStudies):
    """Notes about an image."""

    def run(self, folder, seed, acknowledge):
        store = self.open(folder)
        for number in range(1000):
            store.images.update_info("case", {f"key{seed}": number, "text": "x" * 3000})
            acknowledge({"key": f"key{seed}", "number": number})

    def check(self, folder, acknowledged):
        store = self.open(folder)
        info = store.images.get("case").info
        for told in acknowledged:
            assert info[told["key"]] >= told["number"]
        store.close()


class OpenedSession:
    """A session: folder, image and record."""

    def prepare(self, folder):
        (folder / "sessions").mkdir()

    def run(self, folder, seed, acknowledge):
        from server.sessions import Sessions

        sessions = Sessions(folder / "sessions")
        for number in range(1000):
            files = [folder / f"in{seed}-{k}.dcm" for k in range(1 + number % 3)]
            for k, file in enumerate(files):
                file.write_bytes(f"{seed} {number} {k} ".encode() * 2000)
            hashes = [sha256(file) for file in files]
            session = sessions.add(files, ".dcm")
            acknowledge({"id": session.name, "sha256": hashes})

    def check(self, folder, acknowledged):
        from server.sessions import Sessions

        sessions = Sessions(folder / "sessions")
        for told in acknowledged:
            image = Path(sessions.get(told["id"]).image)
            files = sorted(image.iterdir()) if image.is_dir() else [image]
            assert [sha256(file) for file in files] == told["sha256"]
        for place in (folder / "sessions").iterdir():  # those that were not acknowledged are whole, or not there
            record = sessions._read(place.name)
            if record is not None:
                image = Path(record.image)
                for file in image.iterdir() if image.is_dir() else [image]:
                    assert file.stat().st_size > 8000


class PublishedModel:
    """A version of a model: weights, card, and which one is served."""

    def prepare(self, folder):
        (folder / "models").mkdir()

    def run(self, folder, seed, acknowledge):
        import torch

        from hepatic.engine.card import ModelCard
        from hepatic.engine.weights import Registry

        registry = Registry(folder / "models")
        for number in range(1000):
            state = {"weight": torch.full((50, 50), float(seed * 1000 + number))}
            version = registry.publish(state, ModelCard(task="net", preset="small", seed=0, key_metric="dice"))
            acknowledge({"version": version.version, "value": float(seed * 1000 + number)})
            registry.promote("net", version.version)
            acknowledge({"served": version.version})

    def check(self, folder, acknowledged):
        from hepatic.engine.weights import Registry

        registry = Registry(folder / "models")
        versions = {version.version: version for version in registry.versions("net")}
        for version in versions.values():
            assert version.load()["weight"].shape == (50, 50)  # checks the hash, too
        for told in acknowledged:
            if "version" in told:
                assert float(versions[told["version"]].load()["weight"][0, 0]) == told["value"]
        promoted = [told["served"] for told in acknowledged if "served" in told]
        served = registry.served("net")
        if promoted:
            order = list(versions)
            assert served is not None
            assert order.index(served.version) >= order.index(promoted[-1]), "an older version is served"
        visible = [place for place in (folder / "models" / "net").glob("[!.]*") if place.is_dir()]
        assert len(visible) == len(versions), "a version that is not whole is seen"


class ReplacedWeights:
    """Weights put over others: the old file or the new one."""

    def prepare(self, folder):
        (folder / "w.safetensors").write_bytes(b"0" * 20000)

    def run(self, folder, seed, acknowledge):
        from hepatic.store.disk import put_in_place, write_temporary

        for number in range(1000):
            source = folder.parent / f"sent{seed}"
            source.write_bytes(f"{number % 10}".encode() * 20000)
            put_in_place(write_temporary(source, folder).path, folder / "w.safetensors")
            acknowledge({"number": number, "seed": seed})

    def check(self, folder, acknowledged):
        content = (folder / "w.safetensors").read_bytes()
        assert len(content) == 20000
        assert len(set(content)) == 1
        if acknowledged:
            last = acknowledged[-1]["number"]
            assert content[:1] in (f"{last % 10}".encode(), f"{(last + 1) % 10}".encode(), b"0")


class Decision:
    """Readers' decisions: two events sent together are both there or neither is, and what was acknowledged stays."""

    def open(self, folder):
        from hepatic.harvest.rules import Rules
        from hepatic.harvest.store import ReviewStore

        return ReviewStore(folder / "harvest", rules=Rules(lease_s=0))

    def prepare(self, folder):
        store = self.open(folder)
        store.proposals.add(proposed(candidates=[f"2.25.{n}" for n in range(1, 4)]))
        store.close()

    def run(self, folder, seed, acknowledge):
        store = self.open(folder)
        reader = f"Reader {seed}"
        for number in range(1000):
            store.lease(reader, "1.2.3")
            verdict = ("true", "false", "unsure")[number % 3]
            sent = [decide("2.25.1", verdict), decide("2.25.2", verdict)]
            taken, _ = store.reviews.take(sent, reader)
            assert [one.status for one in taken] == ["stored", "stored"]
            acknowledge({"ids": [one["id"] for one in sent], "reader": reader, "verdict": verdict})

    def check(self, folder, acknowledged):
        store = self.open(folder)
        with store.database.read() as connection:
            stored = {row[0]: row[1:] for row in connection.execute("SELECT id, reader, verdict FROM event")}
        for told in acknowledged:
            for id in told["ids"]:
                assert stored[id] == (told["reader"], told["verdict"]), "an acknowledged decision is lost or another"
        assert len(stored) % 2 == 0, "one of two events that were sent together"
        for reading in store.review("1.2.3").readings:
            assert reading.verdict("2.25.1") == reading.verdict("2.25.2")
        store.close()


class TakenSnapshot(Decision):
    """A snapshot: its file is whole, and the store knows it."""

    def run(self, folder, seed, acknowledge):
        store = self.open(folder)
        for number in range(1000):
            uid = f"1.2.{seed}.{number}"
            store.proposals.add(proposed(uid, patient=f"P{seed}-{number}"))
            store.lease("Rita", uid)
            finish(store, "Rita", decide("2.25.1", "true", uid), study=uid)
            taken = store.snapshot()
            acknowledge({"sha256": taken.sha256, "study": uid})

    def check(self, folder, acknowledged):
        from hepatic.harvest.snapshots import check_snapshot

        store = self.open(folder)
        files = {one.sha256: one.file for one in store.snapshots.all()}
        written = {*files.values(), *(folder / "harvest" / "snapshots").glob("[!.]*")}
        studies = {file: {one["study_uid"] for one in check_snapshot(file)["studies"]} for file in written}
        for told in acknowledged:
            assert told["study"] in studies[files[told["sha256"]]]
        store.close()


BOUNDARIES = {
    "label": SavedLabel,
    "image": AddedImage,
    "series": AddedSeries,
    "remove series": RemovedSeries,
    "remove label": RemovedLabel,
    "info": NotedInfo,
    "session": OpenedSession,
    "publish": PublishedModel,
    "weights": ReplacedWeights,
    "decision": Decision,
    "snapshot": TakenSnapshot,
}


def fresh(template, folder):
    """Return a copy of a prepared folder."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    return folder
