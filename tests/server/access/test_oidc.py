"""Tokens of an OpenID Connect issuer: which are taken, which are not, and what it costs the issuer."""

import asyncio
import json
import time
from base64 import urlsafe_b64encode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hepatic.errors import BadInputError
from hepatic.settings import Settings, settings
from server.access.access import Access
from server.access.errors import IssuerDownError, TooManyLoginsError, WrongLoginError
from server.access.oidc import Issuer
from server.access.roles import Role

from .conftest import asked
from .issuer import TestIssuer


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def running_issuer():
    with TestIssuer().serving() as issuer:
        yield issuer


@pytest.fixture
def idp(running_issuer):
    issuer = running_issuer
    issuer.rotate("first")
    issuer.asked.clear()
    issuer.down, issuer.slow_s, issuer.named = False, 0.0, None
    return issuer


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ours(idp, clock):
    return Issuer(Settings(oidc_issuer=idp.url), clock=clock)


def check(issuer, token):
    return asyncio.run(issuer.check(token))


def refused(issuer, token, why):
    with pytest.raises(WrongLoginError, match=why) as failed:
        check(issuer, token)
    assert token not in str(failed.value)


def without_signature(claims, header='{"alg":"none","typ":"JWT"}'):
    parts = [header.encode(), jwt.utils.force_bytes(json.dumps(claims))]
    return ".".join([*(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


def test_a_good_token_says_who_and_what_they_may_do(ours, idp):
    assert check(ours, idp.token()) == ("k", Role.ANNOTATOR)
    assert check(ours, idp.token(has=["monailabel-user", "monailabel-admin"])) == ("k", Role.ADMIN)
    assert check(ours, idp.token(aud=["account", "monailabel-app"])) == ("k", Role.ANNOTATOR)
    assert idp.asked == ["GET /.well-known/openid-configuration", "GET /keys"]  # once for all of them


def test_elliptic_curves_are_taken(ours, idp):
    idp.add_elliptic()
    assert check(ours, idp.token(kid="curve")) == ("k", Role.ANNOTATOR)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"aud": "another-app"}, "not meant for this server"),
        ({"aud": None}, "wrong"),
        ({"exp": None}, "wrong"),
        ({"exp": -60}, "expired"),
        ({"nbf": 600}, "not valid yet"),
        ({"preferred_username": None}, "no name"),
        ({"preferred_username": "a\nb"}, "no name"),
        ({"preferred_username": ["k"]}, "no name"),
    ],
    ids=str,
)
def test_a_token_with_wrong_claims_is_refused(ours, idp, changes, why):
    """Times are seconds from now."""
    now = int(time.time())
    changes = {name: now + value if isinstance(value, int) else value for name, value in changes.items()}
    refused(ours, idp.token(**changes), why)


def test_a_token_without_a_signature_is_refused(ours, idp):
    refused(ours, without_signature(idp.claims()), "kind that is not accepted")
    refused(ours, without_signature(idp.claims(), '{"alg":"None"}'), "kind that is not accepted")
    refused(ours, idp.token().rpartition(".")[0] + ".", "wrong")


def test_a_token_signed_with_the_public_key_as_if_it_were_a_secret_is_refused(ours, idp):
    public = idp.keys["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": "first", "typ": "JWT"}
    signer = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    plain = without_signature(idp.claims(), json.dumps(header)).rstrip(".")
    token = f"{plain}.{urlsafe_b64encode(signer.sign(plain.encode(), public)).rstrip(b'=').decode()}"
    refused(ours, token, "kind that is not accepted")


def test_a_token_of_somebody_elses_key_is_refused(ours, idp):
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    refused(ours, idp.token(key=stranger), "wrong")


def test_a_token_that_was_changed_is_refused(ours, idp):
    head, _, signature = idp.token().split(".")
    _, body, _ = idp.token(has=["monailabel-admin"]).split(".")
    refused(ours, f"{head}.{body}.{signature}", "wrong")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 9, "e30.e30.e30"])
def test_what_is_no_token_is_refused_without_asking_the_issuer(ours, idp, token):
    refused(ours, token or "-", "neither|not accepted")
    assert idp.asked == []


def test_an_unknown_key_is_looked_for_once_and_not_for_each_request(ours, idp, clock):
    check(ours, idp.token())
    clock.now += 120
    idp.asked.clear()
    for _ in range(5):
        refused(ours, idp.token(kid="made up", key=idp.keys["first"]), "does not publish")
    assert idp.asked.count("GET /keys") == 1


def test_a_rotated_key_is_found(ours, idp, clock):
    check(ours, idp.token())
    old = idp.token()
    idp.rotate()
    refused(ours, idp.token(), "does not publish")  # looked a moment ago
    clock.now += 61
    assert check(ours, idp.token()) == ("k", Role.ANNOTATOR)
    refused(ours, old, "does not publish")


def test_an_issuer_that_is_down_is_said_to_be_and_not_asked_for_each_request(ours, idp, clock):
    idp.down = True
    for _ in range(5):
        with pytest.raises(IssuerDownError):
            check(ours, idp.token())
    assert len(idp.asked) == 1
    idp.down = False
    clock.now += 6
    assert check(ours, idp.token()) == ("k", Role.ANNOTATOR)


def test_while_the_issuer_is_down_known_keys_go_on_being_good(ours, idp, clock):
    check(ours, idp.token())
    idp.down = True
    clock.now += 7200
    assert check(ours, idp.token()) == ("k", Role.ANNOTATOR)
    idp.rotate()
    with pytest.raises(IssuerDownError):
        check(ours, idp.token())


def test_an_issuer_that_hangs_is_given_up(idp):
    idp.slow_s = 3.0
    ours = Issuer(Settings(oidc_issuer=idp.url, oidc_timeout_s=0.3))
    with pytest.raises(IssuerDownError, match="does not answer"):
        check(ours, idp.token())


def test_an_issuer_that_calls_itself_otherwise_is_not_believed(ours, idp):
    idp.named = "https://evil.example"
    with pytest.raises(IssuerDownError, match="issuer that is set"):
        check(ours, idp.token(iss="https://evil.example"))


@pytest.mark.parametrize(
    ("path", "claims", "role"),
    [
        ("roles", {"roles": ["monailabel-reviewer"]}, Role.REVIEWER),
        ("roles", {"roles": "openid monailabel-user"}, Role.READER),
        ("resource_access#app#roles", {"resource_access": {"app": {"roles": ["monailabel-admin"]}}}, Role.ADMIN),
        ("https://x.org/roles", {"https://x.org/roles": ["monailabel-user"]}, Role.READER),
        ("roles#deeper", {"roles": ["monailabel-admin"]}, Role.NOBODY),
        ("roles", {"roles": [{"a": 1}, 7, "monailabel-adm"]}, Role.NOBODY),
        ("roles", {}, Role.NOBODY),
    ],
)
def test_roles_are_found_where_the_settings_say(idp, path, claims, role):
    ours = Issuer(Settings(oidc_issuer=idp.url, oidc_roles_claim=path))
    assert check(ours, idp.token(has=(), **claims))[1] is role


@pytest.mark.parametrize("algorithms", ["HS256", "none", "RS256 HS512", "", "RS1"])
def test_an_algorithm_that_is_not_safe_cannot_be_set(idp, algorithms):
    with pytest.raises(BadInputError, match="RS256"):
        Issuer(Settings(oidc_issuer=idp.url, oidc_algorithms=algorithms))


@pytest.mark.parametrize("url", ["login.example.org", "ftp://x", "https://"])
def test_an_issuer_is_a_url(url):
    with pytest.raises(BadInputError, match="HEPATIC_OIDC_ISSUER"):
        Issuer(Settings(oidc_issuer=url))


def test_the_variables_of_monai_label_are_understood(monkeypatch):
    for name, value in {
        "AUTH_ENABLE": "true", "AUTH_REALM_URI": "https://kc/realms/x", "AUTH_CLIENT_ID": "app", "AUTH_ROLE_USER": "u",
        "AUTH_TOKEN_ROLES": "roles", "AUTH_TOKEN_USERNAME": "sub", "AUTH_TIMEOUT": "3",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"MONAI_LABEL_{name}", value)
    found = Settings()
    assert (found.auth, found.oidc_issuer, found.oidc_client_id) == (True, "https://kc/realms/x", "app")
    assert (found.oidc_role_reader, found.oidc_roles_claim, found.oidc_user_claim) == ("u", "roles", "sub")
    assert found.oidc_timeout_s == 3.0
    monkeypatch.setenv("HEPATIC_OIDC_ISSUER", "https://ours")
    assert Settings().oidc_issuer == "https://ours"


def test_a_server_with_an_issuer_lets_its_people_in(idp, set_up, served):
    set_up(oidc_issuer=idp.url, oidc_timeout_s=1, login_limit="3/day")
    address, _ = served(auth=None)  # an issuer alone asks for logins
    assert asked("GET", address, "/auth/").json() == {"enabled": True, "client_id": "monailabel-app", "realm": idp.url}
    assert asked("GET", address, "/info/").status_code == 401
    assert asked("GET", address, "/info/", secret=idp.token()).status_code == 200
    assert asked("POST", address, "/train/x", secret=idp.token()).status_code == 403
    none = asked("GET", address, "/info/", secret=idp.token(has=["other"]))
    assert (none.status_code, "no role" in none.json()["detail"]) == (403, True)

    form = {"username": "k", "password": "right", "grant_type": "password"}
    told = asked("POST", address, "/auth/token", data=form).json()
    assert (told["token_type"], told["expires_in"], set(told)) == (
        "bearer", 300, {"access_token", "token_type", "expires_in"}
    )  # fmt: skip
    who = asked("GET", address, "/auth/token/valid", secret=told["access_token"]).json()
    assert (who["username"], who["roles"]) == ("k", ["reader", "annotator"])

    logged_in = asked("POST", address, "/login", data=form)
    assert logged_in.status_code == 303
    cookie = {"Cookie": logged_in.headers["set-cookie"].partition(";")[0]}
    assert asked("GET", address, "/", headers=cookie).status_code == 200

    for _ in range(3):
        assert asked("POST", address, "/auth/token", data={**form, "password": "wrong"}).status_code == 401
    idp.asked.clear()
    waits = asked("POST", address, "/auth/token", data={**form, "password": "wrong"})
    assert waits.status_code == 429
    assert 1 <= int(waits.headers["retry-after"]) <= 86400
    assert idp.asked == []  # nobody guesses passwords through this server
    assert asked("GET", address, "/info/", secret=idp.token()).status_code == 200  # who is in, stays in


def test_many_guesses_at_once_are_counted_before_the_issuer_is_asked(idp, set_up, tmp_path):
    set_up(oidc_issuer=idp.url, login_limit="3/day")
    access = Access(tmp_path, settings(), required=True)

    async def guess(password, address="10.0.0.1"):
        return await access.log_in("k", password, address)

    async def all_at_once():
        return await asyncio.gather(*(guess("wrong") for _ in range(20)), return_exceptions=True)

    kinds = [type(outcome) for outcome in asyncio.run(all_at_once())]
    assert (kinds.count(WrongLoginError), kinds.count(TooManyLoginsError)) == (3, 17)
    assert idp.asked.count("POST /token") == 3
    for _ in range(5):
        assert asyncio.run(guess("right", "10.0.0.2")).user.name == "k"  # who is right is not counted


def test_a_server_whose_issuer_is_down_says_so_and_does_not_hang(idp, set_up, served):
    idp.down = True
    set_up(oidc_issuer=idp.url, oidc_timeout_s=1)
    address, _ = served(auth=None)
    answer = asked("GET", address, "/info/", secret=idp.token())
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert asked("POST", address, "/auth/token", data={"username": "k", "password": "right"}).status_code == 503
    assert asked("GET", address, "/health").status_code == 200
