"""Pictures over HTTP: for those who are let in, kept by nobody, and no word of scores in what is told with them."""

import io
from dataclasses import replace

import pytest
import requests
from PIL import Image

from tests.viewers.qa_studies import put, study

QA = "/qa/api/v1/studies"


@pytest.fixture(scope="module")
def shown(qa_app, address):
    put(qa_app, study(1, without=("delayed",)))
    return study(1, without=("delayed",))[1]


def test_a_card_is_drawn_for_a_reader_and_nobody_keeps_it(people, shown):
    rita, [first, *_] = people["Rita"], shown.candidates
    answer = rita.ask("GET", f"/studies/{shown.study_uid}/candidates/{first.uid}/card.png?window=soft")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    layout = rita.ask("GET", f"/studies/{shown.study_uid}/layout")
    assert layout.headers["cache-control"] == "no-store"
    card = layout.json()["cards"][first.uid]
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.size == (card["tile_px"] * len(card["slices"]), card["tile_px"] * 5)
    assert picture.mode == "L"
    assert card["missing"] == ["delayed"]
    for secret in ("score", "lineage", "model"):
        assert secret not in layout.text


def test_the_layout_does_not_tell_which_candidate_scores_more(people, store, shown):
    _, made = study(1, without=("delayed",))
    last_first = replace(made, study_uid="1.2.826.0.1.903", candidates=made.candidates[::-1])
    store.proposals.add(last_first)
    cards = people["Rita"].ask("GET", "/studies/1.2.826.0.1.903/layout").json()["cards"]
    assert list(cards) == sorted(one.uid for one in made.candidates)


def test_whole_slices_come_eight_at_a_time(people, shown):
    layout = people["Rita"].ask("GET", f"/studies/{shown.study_uid}/layout").json()["stack"]
    answer = people["Rita"].ask("GET", f"/studies/{shown.study_uid}/stack.png?phase=venous&first=20")
    wide, high = layout["size_px"]
    assert Image.open(io.BytesIO(answer.content)).size == (wide, high * (layout["slices"] - 20))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/1.9.9/layout", 404),
        ("/{uid}/candidates/2.25.99/card.png", 404),
        ("/{uid}/candidates/{first}/card.png?window=bone", 404),
        ("/{uid}/candidates/%2e%2e%2fetc/card.png", 404),
        ("/{uid}/stack.png?phase=delayed", 404),
        ("/{uid}/stack.png?phase=venous&first=9999", 404),
        ("/{uid}/stack.png?phase=venous&first=-1", 422),
        ("/{uid}/stack.png?phase=venous&first=99999999999999999999", 422),
    ],
)
def test_what_is_not_there_is_refused_with_a_word(people, shown, path, status):
    answer = people["Rita"].ask("GET", "/studies" + path.format(uid=shown.study_uid, first=shown.candidates[0].uid))
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_study_that_was_dropped_from_the_cache_says_what_to_do(people, store, shown):
    from tests.harvest.proposed import proposed

    store.proposals.add(proposed("1.2.77"))
    answer = people["Rita"].ask("GET", "/studies/1.2.77/layout")
    assert answer.status_code == 404
    assert "Propose the study again" in answer.json()["detail"]


def test_strangers_see_no_picture_and_no_page(address, shown):
    for path in (f"{QA}/{shown.study_uid}/layout", "/qa", "/qa/web/main.js"):
        assert requests.get(address + path, timeout=10).status_code == 401


def test_the_page_runs_its_own_scripts_only_and_nothing_else_of_the_folder_is_served(people, address):
    session = people["Rita"]._session
    page = session.get(f"{address}/qa", timeout=10)
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "//" not in page.text.replace("<!doctype", "")
    script = session.get(f"{address}/qa/web/main.js", timeout=10)
    assert script.headers["content-type"].startswith("text/javascript")
    assert "import" in script.text
    for name in ("index.html", "..%2fjobs.html", "nothing.js"):
        assert session.get(f"{address}/qa/web/{name}", timeout=10).status_code == 404
