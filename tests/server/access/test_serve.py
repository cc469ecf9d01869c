"""Where ``hepatic serve`` may listen, and what it hands to the web server."""

import datetime
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from hepatic.errors import BadInputError
from hepatic.settings import settings
from server.access.access import tokens_dir
from server.access.roles import Role
from server.access.token import Tokens
from server.cli import app as cli
from tests.server.conftest import FOREIGN_APP

from .conftest import bearer

ROOT = Path(__file__).parents[3]


@pytest.fixture
def serve(tmp_path, handed_over):
    """Run the command up to the moment when it would listen; return what it hands over and what it says."""

    def run(*arguments, token=True):
        if token:
            Tokens(tokens_dir(settings().data_dir(tmp_path))).create("Ada", Role.ADMIN, expires=None)
        result = CliRunner().invoke(
            cli, ["serve", "--app", str(FOREIGN_APP), "--studies", str(tmp_path), *arguments], catch_exceptions=True
        )
        if isinstance(result.exception, BadInputError):
            raise result.exception
        assert result.exception is None, result.output
        config = handed_over.pop()
        config.app.state.claim.release()
        return {**vars(config), "access": config.app.state.access, "said": " ".join(result.output.split())}

    return run


def test_on_this_machine_no_login_is_needed(serve):
    handed = serve(token=False)
    assert handed["host"] == "127.0.0.1"
    assert not handed["access"].required
    assert handed["proxy_headers"] is False


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "hospital.example"])
def test_elsewhere_nobody_is_served_before_somebody_can_log_in(serve, host):
    with pytest.raises(BadInputError, match="hepatic tokens create"):
        serve("--host", host, token=False)
    handed = serve("--host", host)
    assert handed["access"].required
    assert "readable to anybody on the way" in handed["said"]


def test_a_token_that_is_over_or_revoked_is_no_token(serve, tmp_path):
    tokens = Tokens(tokens_dir(settings().data_dir(tmp_path)))
    tokens.create("Ada", Role.ADMIN, expires=datetime.timedelta(microseconds=1))
    token, _ = tokens.create("Bert", Role.ADMIN, expires=None)
    tokens.revoke(token.id)
    time.sleep(1.1)
    with pytest.raises(BadInputError, match="hepatic tokens create"):
        serve("--host", "0.0.0.0", token=False)


def test_an_issuer_is_enough(serve, set_up):
    set_up(oidc_issuer="https://login.example.org/realms/x")
    assert serve("--host", "0.0.0.0", token=False)["access"].issuer.url == "https://login.example.org/realms/x"
    assert serve(token=False)["access"].required


def test_a_login_can_be_asked_for_on_this_machine_too(serve, set_up):
    assert serve("--auth")["access"].required
    set_up(auth="true")
    assert serve()["access"].required


def test_monai_labels_own_switch_asks_for_a_login(serve, set_up, monkeypatch):
    monkeypatch.setenv("MONAI_LABEL_AUTH_ENABLE", "true")
    set_up()
    assert serve()["access"].required


def test_pages_of_any_origin_are_served_only_to_who_logs_in(serve):
    with pytest.raises(BadInputError, match="--origin"):
        serve("--origin", "*", token=False)
    assert serve("--origin", "*", "--auth")["access"].required


def test_a_trusted_proxy_is_believed_and_asks_for_a_login(serve):
    handed = serve("--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.0.0.0/8")
    assert handed["access"].required
    assert handed["access"].behind_proxy
    assert handed["proxy_headers"] is True
    assert handed["forwarded_allow_ips"] == ["127.0.0.1/32", "10.0.0.0/8"]
    for wrong in ("*", "nginx", ""):
        with pytest.raises(BadInputError, match="--trusted-proxy"):
            serve("--trusted-proxy", wrong)


def test_the_way_out_of_logins_is_gone():
    shown = CliRunner().invoke(cli, ["serve", "--help"])
    assert "i-know" not in shown.output


def write_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return folder / "cert.pem", folder / "key.pem"


def test_everything_together_a_server_for_the_network_over_https(tmp_path):
    """The commands as they are typed: a token, a server at all addresses with TLS, a request, a revoked token."""
    certificate, key = write_certificate(tmp_path)
    studies = tmp_path / "studies"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def hepatic(*words):
        command = [sys.executable, "-m", "server.cli", *map(str, words), "--studies", str(studies)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done

    secret = hepatic("tokens", "create", "Dr. K", "--role", "annotator", "--expires", "90d").stdout.strip()
    server = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "serve", "--app", str(FOREIGN_APP), "--studies", str(studies), "--host",
         "0.0.0.0", "--port", str(port), "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        address = f"https://127.0.0.1:{port}"

        def get(path, **headers):
            return requests.get(address + path, headers=headers, verify=str(certificate), timeout=20)

        deadline = time.monotonic() + 60
        while True:
            try:
                health = get("/health")
                break
            except requests.ConnectionError:
                assert server.poll() is None, server.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert health.headers["strict-transport-security"]
        assert "server" not in health.headers
        assert get("/info/").status_code == 401
        assert get("/info/", **bearer(secret)).status_code == 200
        assert "Dr. K" in hepatic("tokens", "list").stdout
        hepatic("tokens", "revoke", "Dr. K")
        time.sleep(0.3)
        assert get("/info/", **bearer(secret)).status_code == 401
        verified = hepatic("audit", "verify").stdout
        assert "none changed" in verified
        exported = hepatic("audit", "export", "--format", "jsonl").stdout
        assert "tokens revoke" in exported
        assert "login failed" in exported
    finally:
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate(timeout=60)
    assert f"https://0.0.0.0:{port}" in said
    assert secret not in said + exported
