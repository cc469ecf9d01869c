"""A user's ``monailabel start_server`` line and ``MONAI_LABEL_*`` variables: what counts, and what is told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from monailabel.config import Settings as StockSettings

from hepatic.settings import settings
from server.cli import main
from server.sessions import Sessions
from server.stock_settings import VARIABLES, Fate, stock_environment, table, without_effect

from .conftest import FOREIGN_APP

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hepatic(monkeypatch, capsys, handed_over):
    """Run a command up to where it would serve; return the application, uvicorn's options and what was said."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hepatic", *map(str, arguments)])
        settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main()
        settings.cache_clear()
        said = " ".join("".join(capsys.readouterr()).split())
        if not handed_over:
            return None, ended.value.code, said
        config = handed_over.pop()
        config.app.state.claim.release()
        return config.app, vars(config), said

    yield run
    settings.cache_clear()


@pytest.fixture
def served(monkeypatch):
    """What the application was made with."""
    made = {}

    def create_app(app_dir, studies, **options):
        made.update(options, app_dir=Path(app_dir), studies=studies)
        return real(app_dir, studies, **options)

    import server.app

    real = server.app.create_app
    monkeypatch.setattr(server.app, "create_app", create_app)
    return made


def test_a_line_of_monailabel_works_with_the_commands_name_changed(hepatic, served, tmp_path):
    line = ["start_server", "--app", FOREIGN_APP, "--studies", tmp_path, "--conf", "models", "deepedit,deepgrow"]
    app, options, _ = hepatic(*line, "-c", "use_pretrained", "a=b", "-p", "8001", "-v", "ERROR")
    assert app is not None
    assert served["app_dir"] == FOREIGN_APP
    assert served["studies"] == str(tmp_path)
    assert served["conf"] == {"models": "deepedit,deepgrow", "use_pretrained": "a=b"}
    assert (options["host"], options["port"]) == ("127.0.0.1", 8001)


def test_its_other_spellings_and_tls(hepatic, tmp_path):
    (tmp_path / "cert.pem").touch()
    tls = ["--ssl_certfile", tmp_path / "cert.pem", "--ssl_keyfile", tmp_path / "cert.pem"]
    _, options, said = hepatic("start-server", "-a", FOREIGN_APP, "-s", tmp_path, "-i", "localhost", *tls)
    assert (options["host"], options["port"]) == ("localhost", 8000)
    assert options["ssl_keyfile"] == tmp_path / "cert.pem"
    assert "https://localhost:8000" in said


def test_the_open_bind_of_the_stock_server_asks_for_logins_first(hepatic, tmp_path):
    app, code, said = hepatic("start_server", "-a", FOREIGN_APP, "-s", tmp_path, "-i", "0.0.0.0")
    assert (app, code) == (None, 2)
    assert "hepatic tokens create" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--uvicorn_app", "my:app"], "It serves MONAI Label apps"),
        (["--ssl_keyfile_password", "x"], "Take the password off the key"),
        (["--ssl_ca_certs", "x"], "Certificates of clients"),
        (["--limit_concurrency", "5"], "HEPATIC_QUEUE_LIMIT"),
        (["--root_path", "/label"], "root of a host name"),
    ],
)
def test_what_is_not_supported_is_refused_with_what_to_do(hepatic, tmp_path, options, said):
    app, code, told = hepatic("start_server", "-a", FOREIGN_APP, "-s", tmp_path, *options)
    assert (app, code) == (None, 2)
    assert said in told


def test_what_makes_no_difference_is_told_and_left_out(hepatic, tmp_path, monkeypatch):
    monkeypatch.delenv("HEPATIC_WORKERS", raising=False)
    monkeypatch.setenv("HEPATIC_WORKERS", "1")  # so that it is put back
    more = ["--access_log", "--log_level", "debug", "-l", "log.json", "--workers", "3"]
    app, _, said = hepatic("start_server", "-a", FOREIGN_APP, "-s", tmp_path, *more)
    assert app is not None
    for option in ("--access_log", "--log_level", "--log_config"):
        assert f"{option} has no effect" in said
    assert "number of inference workers" in said


def test_a_dry_run_checks_and_writes_nothing(hepatic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app, code, said = hepatic("start_server", "-a", FOREIGN_APP, "-s", tmp_path / "new", "--dryrun")
    assert (app, code or 0) == (None, 0)
    assert "Would serve" in said
    assert not list(tmp_path.iterdir())
    app, code, said = hepatic("start_server", "-a", tmp_path, "-s", tmp_path, "--dryrun")
    assert code == 2
    assert "main.py" in said


def test_help_lists_the_stock_options(hepatic):
    _, code, said = hepatic("start_server", "--help")
    assert code == 0
    assert "--conf KEY VALUE" in said
    assert "Example" in said


# Variables


def test_every_variable_of_monai_label_is_in_the_table_and_the_table_is_documented():
    assert {variable.name for variable in VARIABLES} == set(StockSettings.model_fields)
    assert table() in (ROOT / "docs" / "contract.md").read_text()


def test_variables_stand_in_for_options(hepatic, served, tmp_path, monkeypatch):
    monkeypatch.setenv("MONAI_LABEL_APP_DIR", str(FOREIGN_APP))
    monkeypatch.setenv("MONAI_LABEL_STUDIES", str(tmp_path))
    monkeypatch.setenv("MONAI_LABEL_SERVER_PORT", "8123")
    monkeypatch.setenv("MONAI_LABEL_APP_CONF", '{"models": "deepedit", "epochs": 5}')
    monkeypatch.setenv("MONAI_LABEL_CORS_ORIGINS", '["http://viewer.example:3000"]')
    for command in (["serve", "--conf", "epochs=7"], ["start_server", "--conf", "epochs", "7"]):
        _, options, _ = hepatic(*command)
        assert (served["app_dir"], served["studies"]) == (FOREIGN_APP, str(tmp_path))
        assert served["conf"] == {"models": "deepedit", "epochs": "7"}
        assert served["origins"] == ("http://viewer.example:3000",)
        assert options["port"] == 8123


def test_a_variable_that_cannot_be_read_is_named(hepatic, tmp_path, monkeypatch):
    monkeypatch.setenv("MONAI_LABEL_APP_CONF", "models=deepedit")
    app, code, said = hepatic("serve", "--app", FOREIGN_APP, "--studies", tmp_path)
    assert (app, code) == (None, 2)
    assert "MONAI_LABEL_APP_CONF" in said


def test_without_variables_nothing_is_taken_for_set():
    told = stock_environment()
    assert (told.conf, told.origins) == ({}, ())


def test_each_variable_that_does_not_count_is_told_when_it_is_set(hepatic, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MONAI_LABEL_SESSION_PATH", "/srv/secret")
    monkeypatch.setenv("MONAI_LABEL_TASKS_TRAIN", "true")
    hepatic("serve", "--app", FOREIGN_APP, "--studies", tmp_path)
    told = without_effect({"MONAI_LABEL_SESSION_PATH": "/srv/secret", "MONAI_LABEL_TASKS_TRAIN": "true"})
    assert len(told) == 1
    assert told[0].startswith("MONAI_LABEL_SESSION_PATH has no effect here.")
    silent = {variable.name for variable in VARIABLES if variable.fate in (Fate.HONOURED, Fate.APP)}
    assert without_effect(dict.fromkeys(silent, "x")) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "value", "read"),
    [
        ("image_session_s", "MONAI_LABEL_SESSION_EXPIRY", "60", 60),
        ("dicomweb_username", "MONAI_LABEL_DICOMWEB_USERNAME", "reader", "reader"),
        ("dicomweb_timeout_s", "MONAI_LABEL_DICOMWEB_PROXY_TIMEOUT", "7", 7.0),
    ],
)
def test_a_setting_of_ours_goes_before_theirs(monkeypatch, ours, theirs, value, read):
    monkeypatch.setenv(theirs, value)
    settings.cache_clear()
    assert getattr(settings(), ours) == read
    monkeypatch.setenv(f"HEPATIC_{ours.upper()}", "1")
    settings.cache_clear()
    assert getattr(settings(), ours) in (1, "1")
    monkeypatch.undo()
    settings.cache_clear()


def test_a_session_lives_as_long_as_the_setting_says(tmp_path):
    (tmp_path / "a.nrrd").touch()
    sessions = Sessions(tmp_path / "sessions", life_s=60)
    assert sessions.add([tmp_path / "a.nrrd"], ".nrrd", 3600).expiry == 60


def test_what_the_app_reads_reaches_it(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.nrrd").touch()
    code = (
        "import sys\n"
        "from server.monai_app import AppSpec, load_app\n"
        "app = load_app(AppSpec(*sys.argv[1:]), 'training')\n"
        "print(len(app._infers), app._trainers, app._strategies, app._scoring_methods, app.datastore().list_images())"
    )
    off = dict.fromkeys(("MONAI_LABEL_TASKS_TRAIN", "MONAI_LABEL_TASKS_SCORING", "MONAI_LABEL_TASKS_STRATEGY"), "false")
    environment = {**os.environ, **off, "MONAI_LABEL_DATASTORE_FILE_EXT": '["*.png"]'}
    command = [sys.executable, "-c", code, str(FOREIGN_APP), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.stdout.strip() == "3 {} {} {} ['a']", done.stderr[-2000:]
