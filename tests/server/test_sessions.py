"""Sessions that are used, closed and run out at the same moment."""

import threading

import pytest

from hepatic.errors import NotFoundError
from server.sessions import Sessions


@pytest.fixture
def sessions(tmp_path):
    return Sessions(tmp_path / "sessions")


@pytest.fixture
def session(sessions, tmp_path):
    (tmp_path / "image.nrrd").write_bytes(b"image")
    return sessions.add([tmp_path / "image.nrrd"], ".nrrd")


def use_while(sessions, session, happens, monkeypatch):
    """Use a session; something else begins when its record has just been read."""
    read, other = sessions._read, threading.Thread(target=happens)

    def read_slowly(session_id):
        found = read(session_id)
        if other.ident is None:
            other.start()
            other.join(0.2)
        return found

    monkeypatch.setattr(sessions, "_read", read_slowly)
    assert sessions.get(session.name, touch=True).name == session.name
    other.join(10)


def test_a_session_that_is_closed_just_as_it_is_used_is_used_and_then_gone(sessions, session, monkeypatch):
    use_while(sessions, session, lambda: sessions.remove(session.name), monkeypatch)
    with pytest.raises(NotFoundError):
        sessions.get(session.name, touch=True)


def test_a_session_that_is_used_just_as_it_runs_out_stays(sessions, session, monkeypatch):
    session.last_access_ts -= session.expiry + 10
    sessions._write(session)
    use_while(sessions, session, sessions.expire, monkeypatch)
    assert sessions.get(session.name).last_access_ts > session.last_access_ts
