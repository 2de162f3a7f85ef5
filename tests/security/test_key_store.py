"""The file of keys: whoever writes last loses nothing of the others, and a broken file opens no door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mcp_gateway.errors import BadConfig, InvalidParams, UnknownName
from mcp_gateway.security.key_store import KeyRing, KeyStore
from mcp_gateway.security.keys import ApiKey, hashed, new_key
from mcp_gateway.security.principal import Allowance, Grant


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "state" / "keys.json")


def test_a_key_comes_back_as_it_was(store: KeyStore) -> None:
    grant = Grant(("a*",), ("ab",), ("t",), ("u",), "work", "search")
    key = ApiKey("ci", hashed("x"), frozenset({"ask"}), grant, Allowance(2.5, 3), 1.0, 2.0)
    store.add(key)

    assert store.read() == (key,)
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_the_file_never_holds_a_key(store: KeyStore) -> None:
    key = new_key()
    store.add(ApiKey("ci", hashed(key)))

    assert key.encode() not in store.path.read_bytes()


def test_a_name_is_given_once_and_can_be_given_again_after_revoking(store: KeyStore) -> None:
    store.add(ApiKey("ci", hashed("1")))
    with pytest.raises(InvalidParams, match="already"):
        store.add(ApiKey("ci", hashed("2")))
    store.revoke("ci")
    assert store.read() == ()
    with pytest.raises(UnknownName):
        store.revoke("ci")
    store.add(ApiKey("ci", hashed("2")))


def test_processes_that_write_at_once_lose_nothing(store: KeyStore) -> None:
    program = (
        "import sys; from pathlib import Path; from mcp_gateway.security.key_store import KeyStore;"
        "from mcp_gateway.security.keys import ApiKey, hashed;"
        "store = KeyStore(Path(sys.argv[1]));"
        "[store.add(ApiKey(f'{sys.argv[2]}{n}', hashed(sys.argv[2]))) for n in range(20)]"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(store.path), name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]

    assert len(store.read()) == 60


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": [{}]}', b"\xff", b'{"keys": 1}', b'{"keys": [{"x": 1}]}']
)
def test_a_broken_file_lets_nobody_in(store: KeyStore, content: bytes) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    ring = KeyRing(store, lambda: ())

    assert len(ring) == 1
    with pytest.raises(BadConfig, match=r"keys\.json"):
        ring.find("anything")


def test_a_change_counts_at_once(store: KeyStore) -> None:
    ring = KeyRing(store, lambda: ())
    key = new_key()
    assert (len(ring), ring.find(key)) == (0, None)

    store.add(ApiKey("ci", hashed(key)))
    assert ring.find(key) is not None
    store.revoke("ci")
    assert (len(ring), ring.find(key)) == (0, None)


def test_keys_of_the_configuration_count_beside_those_of_the_store(store: KeyStore) -> None:
    mine, theirs = new_key(), new_key()
    configured = [ApiKey("mine", hashed(mine))]
    ring = KeyRing(store, lambda: tuple(configured))
    store.add(ApiKey("theirs", hashed(theirs)))

    assert len(ring) == 2
    assert ring.find(mine) is not None
    configured.clear()
    assert ring.find(mine) is None
    assert ring.find(theirs) is not None
