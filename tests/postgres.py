"""A PostgreSQL server of our own, from Debian's package, on a socket in a folder of its own."""

import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from tests.conftest import missing


class Server:
    """Started, stopped and asked for fresh databases."""

    def __init__(self, programs: Path):
        self._programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="hepatic-postgres-"))
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "--pgdata", str(self.folder / "data"))
        self.start()

    def _run(self, program, *arguments):
        user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        done = subprocess.run(
            [*user, str(self._programs / program), *arguments], cwd="/", stdin=subprocess.DEVNULL, capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self):
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        where = ("--pgdata", str(self.folder / "data"), "--log", str(self.folder / "log"))
        self._run("pg_ctl", "start", "--wait", *where, "--options", options)

    def stop(self):
        self._run("pg_ctl", "stop", "--mode=immediate", "--pgdata", str(self.folder / "data"))

    def database(self):
        """Make a new database and return its address."""
        import psycopg

        name = "test_" + uuid.uuid4().hex
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._address(name)

    def _address(self, name):
        return f"postgresql://postgres:secret@/{name}?host={self.folder}"

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder)


def server():
    """Return a running server, or skip with what installs it."""
    found = shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None)
    if found is None:
        missing("PostgreSQL", "Install it: apt-get install postgresql")
    return Server(Path(os.path.realpath(found)).parent)
