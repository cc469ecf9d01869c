"""What the store keeps count of, against counting anew, after anything that may have happened to it."""

import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from hepatic.errors import NotFoundError
from hepatic.store import counts, waiting
from hepatic.store.folder import FolderStore
from hepatic.store.handed import read_handed
from hepatic.store.score import Score, read_scores, write_score

FILES = st.sampled_from(["a", "b", "sub/c", "sub/d"])
TAGS = st.sampled_from(["final", "original"])
SEGMENTS = st.lists(st.sampled_from(["liver", "tumour"]), max_size=2)
OPERATIONS = st.one_of(
    st.tuples(st.just("write"), FILES, st.sampled_from(["P1", "P2", "broken"])),
    st.tuples(st.just("delete"), FILES, st.none()),
    st.tuples(st.just("label"), FILES, st.tuples(TAGS, SEGMENTS)),
    st.tuples(st.just("unlabel"), FILES, TAGS),
    st.tuples(st.just("remove"), FILES, st.none()),
    st.tuples(st.just("score"), FILES, st.tuples(st.sampled_from([1, "v2"]), st.floats(0, 1))),
    st.tuples(st.just("hand"), FILES, st.integers(0, 100)),
)


def read_header(path: Path) -> object:
    text = path.read_text()
    if text.startswith("broken"):
        raise ValueError
    return SimpleNamespace(
        modality="OT", patient_id=text.split()[0], study_uid="", series_uid="", kind="volume", size=(1, 1, 1),
        sop_instance_uids=(), series_description="",
    )  # fmt: skip


def do(store: FolderStore, turn: int, what: str, name: str, how: object) -> None:
    path, image_id = store.root / f"{name}.nrrd", name.replace("/", "_")
    if what == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{how} {turn:{turn + 1}}")  # another size every time
        store.rescan()
    elif what == "delete":
        path.unlink(missing_ok=True)
        store.rescan()
    elif what == "label":
        tag, names = how  # type: ignore[misc]
        source = store.root.parent / "label.nrrd"
        source.write_text(str(turn))
        store.labels.save(image_id, tag, source, info={"label_names": dict.fromkeys(names, 1)})
    elif what == "unlabel":
        store.labels.remove(image_id, str(how))
    elif what == "remove":
        store.remove_image(image_id)
    elif what == "score":
        store.images.update_info(image_id, write_score(Score("m", *how)))  # type: ignore[misc]
    elif what == "hand":
        store.images.update_info(image_id, {"strategy": {"first": {"ts": how, "client_id": "ann"}}})


def counted_anew(store: FolderStore) -> counts.Counts:
    """The counts, from lists."""
    images, heads = store.images.all(), store.labels.heads()
    segments: dict[str, Counter[str]] = {}
    for head in heads:
        for name in set(head.info["label_names"]):
            segments.setdefault(head.tag, Counter())[name] += 1
    return counts.Counts(
        images=len(images),
        patients=len({image.patient_id for image in images}),
        labels=Counter(head.tag for head in heads),
        segments=segments,
        unread=sum(one.broken for one in store.images.unread()),
        missing=len(store.images.missing()),
    )


def agree(store: FolderStore) -> None:
    assert store.counts() == counted_anew(store)
    unlabelled = store.labels.unlabelled("final")
    waiting = store.waiting
    assert len(waiting) == len(unlabelled)
    assert [waiting.nth(n) for n in range(len(unlabelled) + 1)] == [*unlabelled, None]
    with waiting.database.read() as connection:
        assert [n for (n,) in connection.execute("SELECT n FROM waiting ORDER BY n")] == [
            *range(1, len(unlabelled) + 1)
        ]
    info = {image_id: store.images.get(image_id).info for image_id in unlabelled}
    for version in (None, 1, "v2"):
        scores = [s for i in info.values() for s in read_scores(i) if version in (None, s.version)]
        best = waiting.best("m", version)
        assert (best[1].score if best else None) == max((s.score for s in scores), default=None)
        assert best is None or best[1] in read_scores(info[best[0]])
    assert dict(waiting.handed_since(50)) == {i: n for i, n in info.items() if any(h.at > 50 for h in read_handed(n))}
    unscored = [i for i, n in info.items() if not any(s.version == 1 for s in read_scores(n))]
    assert waiting.without_score("m", 1) == unscored


@settings(max_examples=80, deadline=None)
@given(st.lists(OPERATIONS, max_size=25))
def test_counts_and_orders_are_what_listing_everything_says(operations: list[tuple[str, str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = FolderStore(Path(folder) / "studies", header=read_header)  # type: ignore[arg-type]
        for turn, operation in enumerate(operations):
            try:
                do(store, turn, *operation)
            except NotFoundError:
                continue
        agree(store)
        store.close()


def some(root: Path) -> FolderStore:
    store = FolderStore(root / "studies", header=read_header)  # type: ignore[arg-type]
    story = [
        *[
            ("write", name, patient)
            for name, patient in zip("abcdef", ["P1", "P1", "P2", "P3", "P3", "P3"], strict=True)
        ],
        ("write", "x", "broken"),
        ("label", "a", ("final", ["liver"])),
        ("label", "b", ("original", ["liver", "tumour"])),
        ("label", "c", ("final", [])),
        ("delete", "c", None),
        ("score", "d", (1, 0.5)),
        ("score", "e", ("v2", 0.7)),
        ("hand", "d", 70),
    ]
    for turn, operation in enumerate(story):
        do(store, turn, *operation)
    return store


def test_an_index_made_before_there_were_counts_is_counted_once(tmp_path: Path) -> None:
    store = some(tmp_path)
    store.close()
    with closing(sqlite3.connect(store.data / "index.db")) as connection:
        for name, kind in connection.execute(
            "SELECT name, type FROM sqlite_master WHERE type = 'trigger' OR name IN "
            "('amount', 'patient', 'waiting', 'handed', 'score') ORDER BY type DESC"
        ).fetchall():
            connection.execute(f"DROP {kind} {name}")
        connection.execute("PRAGMA user_version = 1")
    again = FolderStore(store.root, header=read_header)  # type: ignore[arg-type]
    agree(again)
    assert again.counts().images == 5
    do(again, 30, "write", "c", "P2")
    do(again, 31, "unlabel", "a", "final")
    agree(again)


def test_every_waiting_image_is_drawn_and_none_that_is_passed_over(tmp_path: Path) -> None:
    store = some(tmp_path)
    everything = set(store.labels.unlabelled("final"))
    assert {store.waiting.any() for _ in range(200)} == everything
    for kept in (set(), {"b"}, everything - {"d"}, everything):
        free = waiting.Waiting(store.waiting.database, passed_over=frozenset(kept))
        assert len(free) == len(everything - kept)
        assert {free.any() for _ in range(100)} == (everything - kept or {None})
        assert free.nth(0) == min(everything - kept, default=None)
        assert free.best("m") is None or free.best("m")[0] not in kept  # type: ignore[index]


def test_arrivals_grow_with_new_images_and_taken_back_labels_only(tmp_path: Path) -> None:
    store = some(tmp_path)
    before = store.waiting.arrivals()
    do(store, 40, "label", "b", ("final", ["liver"]))
    do(store, 41, "label", "b", ("final", ["tumour"]))
    do(store, 42, "score", "d", (1, 0.9))
    assert store.waiting.arrivals() == before
    do(store, 43, "unlabel", "b", "final")
    do(store, 44, "write", "new", "P9")
    assert store.waiting.arrivals() == before + 2


def test_a_version_no_database_can_hold_is_no_score(tmp_path: Path) -> None:
    store = some(tmp_path)
    store.images.update_info("b", write_score(Score("m", 10**30, 5.0)))
    assert store.waiting.best("m", 10**30) is None
    assert store.waiting.best("m")[1].score == 0.7  # type: ignore[index]
