import json
import threading

import pytest
import torch

from hepatic.engine.card import ModelCard
from hepatic.engine.weights import Registry
from hepatic.errors import BadInputError, NotFoundError


def card(**more):
    return ModelCard(task="toy", preset="small", seed=0, key_metric="dice", **more)


def weights(value):
    return {"w": torch.full((3,), float(value))}


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "models", shipped=tmp_path / "shipped")


def test_a_published_version_is_a_candidate_until_promoted(registry):
    first = registry.publish(weights(1), card(metrics={"dice": 0.5}))
    assert first.state == "candidate"
    assert registry.served("toy") is None
    assert registry.promote("toy", first.version).state == "served"
    assert torch.equal(registry.served("toy").load()["w"], torch.ones(3))


def test_versions_are_numbered_and_never_overwritten(registry):
    versions = [registry.publish(weights(v), card()).version for v in (1, 1, 2)]
    assert [v[:5] for v in versions] == ["v0001", "v0002", "v0003"]
    assert [v.version for v in registry.versions("toy")] == versions


def test_rollback_returns_to_the_version_served_before(registry):
    a, b = (registry.publish(weights(v), card()).version for v in (1, 2))
    registry.promote("toy", a)
    registry.promote("toy", b)
    assert [v.state for v in registry.versions("toy")] == ["retired", "served"]
    assert registry.rollback("toy").version == a
    with pytest.raises(NotFoundError, match="earlier version"):
        registry.rollback("toy")


def test_a_shipped_version_is_served_until_another_is_promoted(tmp_path, registry):
    shipped = Registry(tmp_path / "shipped").publish(weights(7), card())
    assert registry.served("toy").version == shipped.version
    own = registry.publish(weights(8), card(parent=shipped.version))
    assert own.version.startswith("v0002")
    assert registry.served("toy").version == shipped.version
    registry.promote("toy", own.version)
    assert registry.rollback("toy").version == shipped.version


def test_damaged_weights_are_not_loaded(registry):
    version = registry.publish(weights(1), card())
    version.weights_file.write_bytes(version.weights_file.read_bytes()[:-1] + b"x")
    with pytest.raises(BadInputError, match="sha256"):
        version.load()


def test_a_damaged_card_of_a_candidate_is_passed_over_and_of_the_served_version_named(registry, caplog):
    served, candidate = (registry.publish(weights(v), card()) for v in (1, 2))
    registry.promote("toy", served.version)
    (candidate.folder / "card.json").write_text(json.dumps({"task": "toy"}))
    assert registry.served("toy").version == served.version
    assert [v.version for v in registry.versions("toy")] == [served.version]
    assert candidate.version in caplog.text
    (served.folder / "card.json").write_text("{}")
    with pytest.raises(BadInputError, match=f"toy/{served.version}"):
        registry.served("toy")


def test_promotions_by_several_threads_are_all_in_the_history(registry):
    versions = [registry.publish(weights(v), card()).version for v in range(6)]
    threads = [threading.Thread(target=registry.promote, args=("toy", v)) for v in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [v.state for v in registry.versions("toy")].count("retired") == 5


@pytest.mark.parametrize("name", ["../toy", "a/b", "", ".hidden", "x" * 65])
def test_names_that_are_no_task_names_reach_no_path(registry, name):
    with pytest.raises(NotFoundError):
        registry.versions(name)


def test_an_unknown_version_lists_those_there_are(registry):
    version = registry.publish(weights(1), card()).version
    with pytest.raises(NotFoundError, match=version):
        registry.promote("toy", "v0009-deadbeef")


def test_versions_published_at_once_by_several_threads_are_all_kept(registry):
    threads = [threading.Thread(target=registry.publish, args=(weights(v), card())) for v in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.versions("toy")) == 8
