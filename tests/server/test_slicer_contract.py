"""What 3D Slicer's own client does with the server, over HTTP."""

import hashlib
import json
import sys
from pathlib import Path

import pytest
import requests
import SimpleITK

from tests.slicer import both_with_and_without_a_login, web

pytestmark = [pytest.mark.viewer, both_with_and_without_a_login]


@pytest.fixture(autouse=True)
def requests_of_an_admin(app, server, monkeypatch):
    monkeypatch.setitem(globals(), "requests", web(app))


def slicer_error():
    return sys.modules["slicer_client"].MONAILabelClientException


SLICER_PARAMS = {"result_extension": ".nrrd", "result_dtype": "uint8"}


def test_a_login_is_asked_for_where_one_is_needed(slicer, auth):
    assert slicer.auth_enabled() is auth
    assert slicer.auth_valid_token()
    if not auth:
        slicer.update_auth(slicer.auth_token("someone", "secret"))


def test_info_has_what_the_panels_are_built_from(slicer):
    info = slicer.info()
    assert "config" not in info
    assert info["labels"] == ["liver"]
    for model in info["models"].values():
        assert model["type"]
        assert model["description"]
        assert model["labels"] is not None
    assert info["models"]["threshold"]["config"] == {"threshold": 50}
    assert all(isinstance(stats["best_metric"], float) for stats in info["train_stats"].values())
    assert set(info["strategies"]) == {"random"}
    assert info["datastore"]["total"] >= 4


def test_the_next_sample_can_be_opened(slicer, server):
    sample = slicer.next_sample("random", {})
    assert sample["id"] in slicer.datastore()["objects"]
    assert Path(sample["path"]).is_file()
    assert sample["name"] == f"{sample['id']}.nrrd"
    assert sample["strategy"]["random"]["client_id"] == "reader-1"
    file = requests.get(f"{server}/datastore/image", params={"image": sample["id"]}, timeout=10)
    assert file.content == Path(sample["path"]).read_bytes()


def test_a_model_runs_on_an_image_of_the_datastore(slicer, studies):
    file, params = slicer.infer("threshold", "case0", dict(SLICER_PARAMS, threshold=30))
    mask, image = SimpleITK.ReadImage(file), SimpleITK.ReadImage(str(studies / "case0.nrrd"))
    assert mask.GetOrigin() == image.GetOrigin()
    assert mask.GetSize() == image.GetSize()
    assert params["label_names"] == {"liver": 1}
    assert params["voxels"] == int(SimpleITK.GetArrayFromImage(image > 30).sum())
    assert params["seen"]["image"] == str(studies / "case0.nrrd")


def test_the_answer_has_a_length_and_two_parts(server):
    answer = requests.post(f"{server}/infer/threshold", params={"image": "case0"}, timeout=30)
    assert "transfer-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.content.count(b"Content-Disposition") == 2
    assert answer.content.count(b"filename=") == 1


def test_a_model_without_a_file_still_sends_one(slicer):
    file, params = slicer.infer("grade", "case0", dict(SLICER_PARAMS))
    assert params == {"prediction": {"HCC": 0.93}}
    assert json.loads(Path(file).read_text())["markups"] == []


def test_a_model_runs_on_a_session(slicer, new_image):
    session_id = slicer.create_session(str(new_image))["session_id"]
    session = slicer.get_session(session_id)
    assert session["name"] == session_id
    assert "/" not in session["image"]
    file, params = slicer.infer("threshold", "new volume", dict(SLICER_PARAMS), session_id=session_id)
    assert SimpleITK.ReadImage(file).GetSize() == (32, 24, 6)
    assert session_id in params["seen"]["image"]
    slicer.remove_session(session_id)
    with pytest.raises(slicer_error()) as gone:
        slicer.get_session(session_id)
    assert gone.value.status_code == 404


def test_a_model_runs_on_a_file_sent_along_with_scribbles(slicer, new_image, services):
    file, params = slicer.infer("threshold", "", dict(SLICER_PARAMS), label_in=str(new_image), file=str(new_image))
    assert SimpleITK.ReadImage(file).GetSize() == (32, 24, 6)
    assert params["seen"]["label"].endswith(".nrrd")
    assert [path for path in services.scratch.dir.glob("*") if path.is_file()] == []


def test_a_segment_name_reaches_the_model(slicer):
    _, params = slicer.infer("threshold", "case0", dict(SLICER_PARAMS, label="liver", foreground=[[1, 2, 3]]))
    assert params["seen"]["label"] == "liver"


def test_an_image_is_uploaded_labelled_and_its_label_fetched(slicer, new_image, tmp_path):
    assert slicer.upload_image(str(new_image), "4: Ax T1/late")["image"] == "4__Ax_T1_late"
    mask, _ = slicer.infer("threshold", "4: Ax T1/late", dict(SLICER_PARAMS))
    label_info = [{"name": "liver", "idx": 1}]
    saved = slicer.save_label("4: Ax T1/late", mask, params={"label_info": label_info})
    assert saved["image"] == "4: Ax T1/late"
    entry = slicer.datastore()["objects"]["4__Ax_T1_late"]["labels"]["final"]
    assert entry["info"]["label_info"] == label_info
    assert entry["info"]["client_id"] == "reader-1"
    fetched = slicer.download_label(saved["label"], "final")
    assert Path(fetched).read_bytes() == Path(mask).read_bytes()
    assert slicer.info()["datastore"]["completed"] >= 1


def test_a_windows_path_is_an_upload_name_like_any_other(server, new_image):
    name = "C:\\Users\\Dr. K\\scan.1.2.840.nrrd"
    body = {"file": (name, new_image.read_bytes())}
    answer = requests.put(f"{server}/datastore/image", files=body, timeout=10)
    assert answer.json() == {"image": "scan.1.2.840"}
    assert requests.delete(f"{server}/datastore/image", params={"id": "scan.1.2.840"}, timeout=10).status_code == 200


def test_a_result_is_kept_as_original_when_that_is_asked_for(slicer, tmp_path):
    file, _ = slicer.infer("threshold", "case1", dict(SLICER_PARAMS, save_label=True))
    info = slicer.datastore()["objects"]["case1"]["labels"]["original"]["info"]
    assert info["model"] == "threshold"
    assert list(info["params"]["label_names"]) == ["liver"]
    assert Path(slicer.download_label("case1", "original")).read_bytes() == Path(file).read_bytes()


def test_a_result_is_kept_under_the_tag_that_is_asked_for_but_never_as_final(slicer, server):
    file, _ = slicer.infer("threshold", "case1", dict(SLICER_PARAMS, save_label=True, label_tag="draft"))
    assert slicer.datastore()["objects"]["case1"]["labels"]["draft"]["info"]["model"] == "threshold"
    assert Path(slicer.download_label("case1", "draft")).read_bytes() == Path(file).read_bytes()
    form = {"params": (None, '{"save_label": true, "label_tag": "final"}')}
    refused = requests.post(f"{server}/infer/threshold", params={"image": "case1"}, files=form, timeout=30)
    assert refused.status_code == 422


def test_the_scores_of_what_was_detected_come_with_it(slicer):
    file, params = slicer.infer("boxes", "case1", {})
    assert params["score"] == [0.75, 0.5]
    shown = json.loads(Path(file).read_text())["markups"]
    assert [box["controlPoints"][0]["description"] for box in shown] == ["0.75", "0.5"]


def test_ohif_gets_the_raw_file(server):
    form = {"params": (None, json.dumps({"result_extension": ".nrrd", "result_compress": False}))}
    url = f"{server}/infer/threshold"
    answer = requests.post(url, params={"image": "case2", "output": "image"}, files=form, timeout=30)
    assert answer.content.startswith(b"NRRD")
    answer = requests.post(url, params={"image": "case2", "output": "json"}, files=form, timeout=30)
    assert answer.json()["label_names"] == {"liver": 1}
    answer = requests.post(f"{server}/infer/grade", params={"image": "case2", "output": "image"}, timeout=30)
    assert answer.status_code == 404
    assert "output=json" in answer.json()["detail"]


def test_dicom_seg_of_an_image_that_is_not_dicom_says_what_to_ask_for(server):
    url = f"{server}/infer/threshold"
    answer = requests.post(url, params={"image": "case2", "output": "dicom_seg"}, timeout=30)
    assert answer.status_code == 422
    assert "output=image" in answer.json()["detail"]


def test_a_strategy_sees_the_model_and_the_tag(server, services, monkeypatch):
    seen = []

    def random(request, datastore):
        seen.append(request)
        return {"id": "case0"}

    monkeypatch.setitem(services.host.app._strategies, "random", random)
    body = {"model": "threshold", "label_tag": "second", "image": "case3"}
    answer = requests.post(f"{server}/activelearning/random", json=body, timeout=10)
    assert answer.status_code == 200
    assert seen == [{"model": "threshold", "label_tag": "second", "strategy": "random"}]
    body["label_tag"] = "../x"
    assert requests.post(f"{server}/activelearning/random", json=body, timeout=10).status_code == 422


def test_images_and_labels_are_found_by_head_requests(server, studies):
    digest = hashlib.sha256((studies / "case3.nrrd").read_bytes()).hexdigest()

    def head(path, **query):
        return requests.head(f"{server}/datastore/{path}", params=query, timeout=10).status_code

    assert head("image", image="case3") == 200
    assert head("image", image="case3", check_sum=f"SHA256:{digest}") == 200
    assert head("image", image="case3", check_sum="SHA256:" + "0" * 64) == 404
    assert head("image", image="nobody") == 404
    assert head("label", image="case3", tag="final") == 404


def test_notes_on_images_and_labels_are_merged(server, slicer):
    slicer.infer("threshold", "case3", {"save_label": True})
    form = {"info": (None, '{"quality": "good"}')}
    image, label = {"image": "case3"}, {"label": "case3", "tag": "original"}
    assert requests.put(f"{server}/datastore/image/info", params=image, files=form, timeout=10).status_code == 200
    assert requests.get(f"{server}/datastore/image/info", params=image, timeout=10).json()["quality"] == "good"
    for path, field in (("label/info", "info"), ("updatelabelinfo", "params")):
        form = {field: (None, json.dumps({path: 1}))}
        assert requests.put(f"{server}/datastore/{path}", params=label, files=form, timeout=10).status_code == 200
    kept = requests.get(f"{server}/datastore/label/info", params=label, timeout=10).json()
    assert kept["label/info"] == kept["updatelabelinfo"] == 1
    assert (
        requests.delete(f"{server}/datastore/label", params={"id": "case3", "tag": "original"}, timeout=10).status_code
        == 200
    )
    assert requests.get(f"{server}/datastore/label", params=label, timeout=10).status_code == 404


def test_the_datastore_can_be_listed_and_downloaded(server, slicer):
    mask, _ = slicer.infer("threshold", "case2", dict(SLICER_PARAMS))
    slicer.save_label("case2", mask)
    assert requests.get(f"{server}/datastore/", timeout=10).json()["total"] >= 4
    pairs = requests.get(f"{server}/datastore/", params={"output": "train"}, timeout=10).json()
    assert all(set(pair) == {"image", "label"} for pair in pairs)
    archive = requests.get(f"{server}/datastore/dataset", timeout=10)
    assert archive.content.startswith(b"PK")


def test_pages_for_people_need_nothing_from_elsewhere(server):
    page = requests.get(f"{server}/", timeout=10).text
    assert "foreign" in page
    assert "threshold" in page
    assert "<script src" not in page
    assert "https://" not in page
    assert "serving the app" in requests.get(f"{server}/logs/", params={"text": True}, timeout=10).text
    assert requests.get(f"{server}/logs/", timeout=10).headers["content-type"].startswith("text/html")
    assert requests.get(f"{server}/logs/gpu", timeout=30).status_code == 200
    docs = requests.get(f"{server}/docs", timeout=10)
    assert "/infer/{model}" in docs.text
    assert "https://" not in docs.text
    assert "default-src 'none'" in docs.headers["content-security-policy"]
