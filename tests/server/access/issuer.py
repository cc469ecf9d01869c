"""A small OpenID Connect issuer: its own keys, real HTTP, and a switch to be down."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "monailabel-app"


class TestIssuer:
    """What it is asked is in ``asked``; ``people`` are its accounts: name to password and roles."""

    __test__ = False

    def __init__(self):
        self.keys = {"first": rsa.generate_private_key(public_exponent=65537, key_size=2048)}
        self.people = {"k": ("right", ["monailabel-annotator", "other"])}
        self.asked, self.down, self.slow_s, self.url = [], False, 0.0, ""
        self.named = None

    def rotate(self, name="second"):
        self.keys = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def add_elliptic(self, name="curve"):
        self.keys[name] = ec.generate_private_key(ec.SECP256R1())

    def claims(self, has=("monailabel-annotator",), **changes):
        now = int(time.time())
        told = {
            "iss": self.url, "aud": AUDIENCE, "exp": now + 300, "nbf": now - 5, "iat": now, "sub": "1",
            "preferred_username": "k", "realm_access": {"roles": list(has)}, **changes,
        }  # fmt: skip
        return {key: value for key, value in told.items() if value is not None}

    def token(self, kid=None, key=None, algorithm=None, **claims):
        kid = kid or next(iter(self.keys))
        key = key or self.keys[kid]
        algorithm = algorithm or ("ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256")
        return jwt.encode(self.claims(**claims), key, algorithm=algorithm, headers={"kid": kid})

    def published(self):
        found = []
        for kid, key in self.keys.items():
            curve = isinstance(key, ec.EllipticCurvePrivateKey)
            kind = jwt.algorithms.ECAlgorithm if curve else jwt.algorithms.RSAAlgorithm
            about = json.loads(kind.to_jwk(key.public_key()))
            found.append({**about, "kid": kid, "use": "sig", "alg": "ES256" if curve else "RS256"})
        return {"keys": found}

    def answer(self, method, path, form):
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.named or self.url,
                "jwks_uri": f"{self.url}/keys",
                "token_endpoint": f"{self.url}/token",
            }
        if path == "/keys":
            return 200, self.published()
        if path == "/token" and method == "POST":
            password, roles = self.people.get(form["username"], (None, ()))
            if form["password"] != password or form["grant_type"] != "password" or form["client_id"] != AUDIENCE:
                return 401, {"error": "invalid_grant"}
            token = self.token(has=roles, preferred_username=form["username"])
            return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 300, "refresh_token": "r"}
        return 404, {}

    @contextmanager
    def serving(self):
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                size = int(self.headers.get("content-length", 0))
                form = {key: value[0] for key, value in parse_qs(self.rfile.read(size).decode()).items()}
                issuer.asked.append(f"{self.command} {self.path}")
                time.sleep(issuer.slow_s)
                status, told = (500, {}) if issuer.down else issuer.answer(self.command, self.path, form)
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
