"""Secrets at rest: sealed, bound to their names, and lost by nobody (R-SEC-1)."""

from __future__ import annotations

import base64
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp_gateway.errors import (
    CannotCreate,
    GatewayError,
    InvalidParams,
    SecretDamaged,
    SecretKeyRefused,
    UnknownName,
)
from mcp_gateway.security.file_lock import file_lock
from mcp_gateway.security.vault import MAX_BYTES, STORES, Vault
from mcp_gateway.security.vault_file import SECRETS, SIGNING, TOKENS
from mcp_gateway.security.vault_key import new_key

from tests.fakes.system_keyring import FakeKeyring

CANARY = "canary-5d1f-\u00e9-93871"
VARIABLE = "MCP_GATEWAY_SECRET_KEY"

WRITER = """
import sys
from pathlib import Path
from mcp_gateway.security.file_lock import file_lock
from mcp_gateway.security.vault import Vault
folder, name, count = sys.argv[1:]
sys.stdin.readline()
for number in range(int(count)):
    Vault(Path(folder), {}).set(f"{name}{number}", f"value of {name}{number}")
"""


def stored(folder: Path) -> dict[str, Any]:
    """The rows as they stand in the file."""
    rows: dict[str, Any] = json.loads((folder / "secrets.json").read_bytes())["secrets"]
    return rows


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    rows = stored(folder)
    change(rows)
    (folder / "secrets.json").write_text(json.dumps({"version": 1, "secrets": rows}))


@contextmanager
def full_disk() -> Iterator[None]:
    """Within the block no file can grow; SIGXFSZ is ignored by Python, so writing fails with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_what_was_set_is_there_for_the_next_process(tmp_path: Path) -> None:
    Vault(tmp_path, {}).set("token", CANARY)

    assert Vault(tmp_path, {}).get("token") == CANARY


def test_bytes_come_back_as_they_were(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.set("signing", b"\x00\xff")

    assert vault.get_bytes("signing") == b"\x00\xff"
    with pytest.raises(SecretDamaged, match="is not text"):
        vault.get("signing")


def test_a_later_value_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.set("token", "first")
    vault.set("token", "second")

    assert (vault.get("token"), vault.names()) == ("second", ("token",))


def test_names_are_sorted_and_need_no_key(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    for name in ("b", "a"):
        vault.set(name, "value")
    (tmp_path / "secret.key").unlink()

    assert vault.names() == ("a", "b")


def test_what_was_removed_is_gone(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.set("token", "value")
    vault.remove("token")

    assert vault.names() == ()
    for ask in (vault.get, vault.remove):
        with pytest.raises(UnknownName):
            ask("token")


def test_an_unknown_name_hears_of_the_nearest(tmp_path: Path) -> None:
    Vault(tmp_path, {}).set("github", "value")

    with pytest.raises(UnknownName, match="Unknown secret: gitub; did you mean 'github'"):
        Vault(tmp_path, {}).get("gitub")


def test_reading_makes_nothing(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "state", {})

    assert vault.names() == ()
    assert list(tmp_path.iterdir()) == []


def test_r_sec_1_no_file_of_the_state_folder_holds_the_text_of_a_secret(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    for value in ("before", CANARY):
        vault.set("token", value)
    vault.rotate()
    spellings = [CANARY.encode(), json.dumps(CANARY).encode()[1:-1], base64.b64encode(CANARY.encode()), b"before"]
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*"))

    assert [spelling for spelling in spellings if spelling in everything] == []
    assert b"gAAAA" in everything


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    Vault(tmp_path / "state", {}).set("token", "value")

    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "state").iterdir()}
    assert modes == {"secret.key": 0o600, "secrets.json": 0o600, "secrets.lock": 0o600}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "a b", "-a", ".a", "a/b", "a:b", "a\n", "\u00fc", "a" * 129])
def test_what_cannot_be_a_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParams, match="letters, digits"):
        Vault(tmp_path, {}).set(name, "value")


@pytest.mark.parametrize(("value", "why"), [("", "is empty"), (b"\0" * (MAX_BYTES + 1), "larger than 64 KiB")])
def test_what_cannot_be_a_value_is_refused(tmp_path: Path, value: str | bytes, why: str) -> None:
    with pytest.raises(InvalidParams, match=why):
        Vault(tmp_path, {}).set("name", value)


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    names, count = ("a", "b"), 10
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), name, str(count)], stdin=subprocess.PIPE, text=True
        )
        for name in names
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=30)

    vault = Vault(tmp_path, {})
    values = {name: vault.get(name) for name in vault.names()}
    wanted = [f"{name}{number}" for name in names for number in range(count)]
    assert values == {name: f"value of {name}" for name in wanted}


# -- keys ------------------------------------------------------------------------------------------------------------


def test_the_variable_holds_the_key_and_no_file_is_made(tmp_path: Path) -> None:
    environ = {VARIABLE: new_key().text}
    Vault(tmp_path, environ).set("token", CANARY)

    assert Vault(tmp_path, environ).get("token") == CANARY
    assert not (tmp_path / "secret.key").exists()


def test_a_wrong_key_is_told_with_what_to_do(tmp_path: Path) -> None:
    Vault(tmp_path, {VARIABLE: new_key().text}).set("token", CANARY)

    for environ in ({VARIABLE: new_key().text}, {}):
        with pytest.raises(SecretKeyRefused) as refusal:
            Vault(tmp_path, environ).get("token")
        assert refusal.value.message == (
            "no key that is here opens the secret 'token'; add the key that sealed it to MCP_GATEWAY_SECRET_KEY, "
            "or take it away: mcp-gateway secrets rm token"
        )


def test_nothing_is_sealed_beside_what_cannot_be_opened(tmp_path: Path) -> None:
    Vault(tmp_path, {VARIABLE: new_key().text}).set("a", "value")
    stranger = Vault(tmp_path, {VARIABLE: new_key().text})

    with pytest.raises(SecretKeyRefused, match="'a'"):
        stranger.set("b", "value")
    assert stranger.names() == ("a",)


def test_what_cannot_be_opened_can_be_removed_or_set_anew(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Vault(tmp_path, {VARIABLE: "A" * 43 + "="}).set(name, "old")
    other = Vault(tmp_path, {VARIABLE: new_key().text})
    other.remove("a")
    other.set("b", "new")

    assert other.get("b") == "new"


@pytest.mark.parametrize(
    ("store", "says"),
    [
        (SECRETS, "secrets rm ci"),
        (SIGNING, "opens the signing secret 'ci'; .* keys revoke ci"),
        (TOKENS, "opens the logins that are stored; .* logout --all"),
    ],
)
@pytest.mark.parametrize("mine", STORES)
def test_no_key_is_made_while_something_is_stored_that_none_opens(
    tmp_path: Path, store: str, mine: str, says: str
) -> None:
    Vault(tmp_path, {VARIABLE: new_key().text}, store).set("ci", "old")
    before = contents(tmp_path)

    with pytest.raises(SecretKeyRefused, match=says):
        Vault(tmp_path, {}, mine).set("ci", "new")
    assert contents(tmp_path) == before

    Vault(tmp_path, {}, store).remove("ci")
    Vault(tmp_path, {}, mine).set("ci", "new")
    assert Vault(tmp_path, {}, mine).get("ci") == "new"


def test_the_first_of_several_keys_seals_and_all_of_them_open(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    Vault(tmp_path, {VARIABLE: old.text}).set("a", "1")
    both = Vault(tmp_path, {VARIABLE: f"{new.text},{old.text}"})
    both.set("b", "2")

    assert (both.get("a"), both.get("b")) == ("1", "2")
    assert {name: row["key"] for name, row in stored(tmp_path).items()} == {"a": old.id, "b": new.id}


def test_a_rotation_leaves_the_older_keys_of_the_variable_idle(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    Vault(tmp_path, {VARIABLE: old.text}).set("token", CANARY)
    before = stored(tmp_path)["token"]
    done = Vault(tmp_path, {VARIABLE: f"{new.text},{old.text}"}).rotate()

    assert (done.count, done.place) == (1, "the variable MCP_GATEWAY_SECRET_KEY")
    assert done.idle == ("the other keys of the variable MCP_GATEWAY_SECRET_KEY",)
    assert Vault(tmp_path, {VARIABLE: new.text}).get("token") == CANARY
    assert stored(tmp_path)["token"]["set_at"] == before["set_at"]
    with pytest.raises(SecretKeyRefused):
        Vault(tmp_path, {VARIABLE: old.text}).get("token")


def test_a_rotation_replaces_the_key_of_the_file(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.set("a", CANARY)
    vault.set("b", "2")
    old_key, old_row = (tmp_path / "secret.key").read_text().strip(), stored(tmp_path)["a"]
    done = vault.rotate()

    assert (done.count, done.place, done.idle) == (2, "secret.key of the state folder", ())
    assert (Vault(tmp_path, {}).get("a"), Vault(tmp_path, {}).get("b")) == (CANARY, "2")
    assert old_key not in (tmp_path / "secret.key").read_text()
    assert stored(tmp_path)["a"]["key"] != old_row["key"]


def test_a_rotation_moves_from_the_file_to_the_variable(tmp_path: Path) -> None:
    Vault(tmp_path, {}).set("token", CANARY)
    environ = {VARIABLE: new_key().text}
    done = Vault(tmp_path, environ).rotate()
    (tmp_path / "secret.key").unlink()

    assert done.idle == ("secret.key of the state folder",)
    assert Vault(tmp_path, environ).get("token") == CANARY


def test_a_reader_that_is_already_there_survives_a_rotation(tmp_path: Path) -> None:
    reader = Vault(tmp_path, {})
    reader.set("token", CANARY)
    assert reader.get("token") == CANARY
    Vault(tmp_path, {}).rotate()

    assert reader.get("token") == CANARY


def test_a_rotation_of_nothing_makes_nothing(tmp_path: Path) -> None:
    done = Vault(tmp_path, {}).rotate()

    assert (done.count, done.place, done.idle) == (0, None, ())
    assert not (tmp_path / "secret.key").exists()


def test_a_rotation_that_cannot_open_everything_changes_nothing(tmp_path: Path) -> None:
    Vault(tmp_path, {}).set("a", "1")
    rewrite(tmp_path, lambda rows: rows.update(b=rows["a"]))
    before = contents(tmp_path)

    with pytest.raises(SecretDamaged, match="'b'"):
        Vault(tmp_path, {}).rotate()
    assert contents(tmp_path) == before


def test_an_interrupted_rotation_leaves_keys_that_open_everything(tmp_path: Path) -> None:
    """Killed between writing the new key and sealing anew, or between that and dropping the old key."""
    Vault(tmp_path, {}).set("token", CANARY)
    key_file = tmp_path / "secret.key"
    old, new = key_file.read_text().strip(), new_key().text
    key_file.write_text(f"{new},{old}\n")

    assert Vault(tmp_path, {}).get("token") == CANARY
    assert Vault(tmp_path, {}).rotate().count == 1
    assert Vault(tmp_path, {}).get("token") == CANARY
    assert old not in key_file.read_text()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o700 | 0o007])
def test_a_key_file_that_is_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    vault = Vault(tmp_path, {})
    vault.set("token", CANARY)
    (tmp_path / "secret.key").chmod(mode)

    for use in (lambda: Vault(tmp_path, {}).get("token"), lambda: vault.set("b", "2"), vault.rotate):
        with pytest.raises(SecretKeyRefused, match=f"open to others \\(mode {mode:03o}\\).*chmod 600"):
            use()


@pytest.mark.parametrize("text", ["password", "A" * 44])
def test_a_key_that_is_none_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(SecretKeyRefused, match="openssl rand -base64 32") as refusal:
        Vault(tmp_path, {VARIABLE: text}).set("token", CANARY)

    assert text not in refusal.value.message
    assert "the variable MCP_GATEWAY_SECRET_KEY" in refusal.value.message


def test_a_key_file_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").mkdir()

    with pytest.raises(SecretKeyRefused, match=r"secret\.key of the state folder cannot be read"):
        Vault(tmp_path, {}).set("token", CANARY)


def test_the_key_store_of_the_system_comes_before_the_file(tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    Vault(tmp_path, {}).set("token", CANARY)

    assert [service for service, _ in fake_keyring.texts] == ["mcp-gateway"]
    assert not (tmp_path / "secret.key").exists()
    assert Vault(tmp_path, {}).get("token") == CANARY


def test_each_state_folder_has_its_own_key_in_the_store(tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    for name in ("one", "two"):
        Vault(tmp_path / name, {}).set("token", name)
    Vault(tmp_path / "one", {}).rotate()

    assert len(fake_keyring.texts) == 2
    assert [Vault(tmp_path / name, {}).get("token") for name in ("one", "two")] == ["one", "two"]


def test_a_rotation_replaces_the_key_in_the_store(tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    Vault(tmp_path, {}).set("token", CANARY)
    before = dict(fake_keyring.texts)
    done = Vault(tmp_path, {}).rotate()

    assert (done.place, done.idle) == ("the system's keyring", ())
    assert fake_keyring.texts.keys() == before.keys()
    assert fake_keyring.texts != before
    assert Vault(tmp_path, {}).get("token") == CANARY


def test_a_locked_key_store_opens_nothing_and_no_second_key_is_made(tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    Vault(tmp_path, {}).set("a", CANARY)
    fake_keyring.locked = True

    with pytest.raises(SecretKeyRefused):
        Vault(tmp_path, {}).set("b", "2")
    assert not (tmp_path / "secret.key").exists()


def test_the_variable_comes_before_the_key_store(tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    Vault(tmp_path, {VARIABLE: new_key().text}).set("token", CANARY)

    assert fake_keyring.texts == {}


# -- damage ----------------------------------------------------------------------------------------------------------


def test_swapped_rows_are_noticed(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.set("a", "1")
    vault.set("b", "2")
    rewrite(tmp_path, lambda rows: rows.update(a=rows["b"], b=rows["a"]))

    for name in ("a", "b"):
        with pytest.raises(SecretDamaged, match=f"the secret '{name}' is not what was stored"):
            vault.get(name)


def test_a_name_that_begins_with_another_is_not_taken_for_it(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.set("ab", "1")
    rewrite(tmp_path, lambda rows: rows.update(a=rows["ab"]))

    with pytest.raises(SecretDamaged):
        vault.get("a")


def test_a_row_of_another_store_is_noticed(tmp_path: Path) -> None:
    Vault(tmp_path, {}, "tokens").set("a", CANARY)
    (tmp_path / "tokens.json").rename(tmp_path / f"{SECRETS}.json")

    with pytest.raises(SecretDamaged):
        Vault(tmp_path, {}).get("a")


def test_a_changed_token_is_noticed(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.set("a", CANARY)
    rewrite(tmp_path, lambda rows: rows["a"].update(token=rows["a"]["token"][:-4] + "AAA="))

    with pytest.raises(SecretDamaged, match="set it again: mcp-gateway secrets set a"):
        vault.get("a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2, "secrets": {}}',
        '{"version": 1, "secrets": []}',
        '{"version": 1, "secrets": {"a": 1}}',
        '{"version": 1, "secrets": {"a": {"key": "k", "token": 1, "set_at": 1}}}',
        '{"version": 1, "secrets": {"a": {"key": "k", "token": "t"}}}',
        "[" * 100_000,
    ],
)
def test_a_file_that_is_not_ours_is_told_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "secrets.json").write_text(text)
    vault = Vault(tmp_path, {})

    for use in (vault.names, lambda: vault.get("a"), lambda: vault.set("a", "1"), vault.rotate):
        with pytest.raises(SecretDamaged, match=r"secrets\.json of the state folder is not what the gateway wrote"):
            use()
    assert (tmp_path / "secrets.json").read_text() == text


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").mkdir()

    with pytest.raises(SecretDamaged, match="cannot be read"):
        Vault(tmp_path, {}).names()


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotCreate, match="cannot be written to the state folder"):
        Vault(tmp_path / "file" / "state", {}).set("a", "1")


@pytest.mark.parametrize(
    ("environ", "what"),
    [({}, "secret.key of the state folder cannot be written"), ({VARIABLE: new_key().text}, "secrets cannot be")],
)
def test_a_full_disk_is_told(tmp_path: Path, environ: dict[str, str], what: str) -> None:
    with full_disk(), pytest.raises(CannotCreate, match=f"{what}.*File too large"):
        Vault(tmp_path, environ).set("a", "1")

    assert contents(tmp_path) == {"secrets.lock": b""}


def test_a_full_disk_takes_nothing_away(tmp_path: Path) -> None:
    vault = Vault(tmp_path, {})
    vault.set("a", CANARY)
    before = contents(tmp_path)

    for use in (lambda: vault.set("a", "2"), lambda: vault.remove("a"), vault.rotate):
        with full_disk(), pytest.raises(CannotCreate):
            use()
    assert contents(tmp_path) == before


def test_a_rotation_that_fails_half_way_loses_nothing(tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    """The new key is in the keyring when the disk refuses what it has sealed."""
    Vault(tmp_path, {}).set("a", CANARY)
    with full_disk(), pytest.raises(CannotCreate):
        Vault(tmp_path, {}).rotate()

    assert Vault(tmp_path, {}).get("a") == CANARY
    assert [text.count(",") for text in fake_keyring.texts.values()] == [1]


def test_a_key_store_that_refuses_a_new_key_ends_a_rotation(tmp_path: Path, fake_keyring: FakeKeyring) -> None:
    Vault(tmp_path, {}).set("a", CANARY)
    fake_keyring.read_only = True

    with pytest.raises(CannotCreate, match="the system's keyring does not take a new key"):
        Vault(tmp_path, {}).rotate()
    assert Vault(tmp_path, {}).get("a") == CANARY


def test_a_writer_does_not_wait_for_ever(tmp_path: Path) -> None:
    with file_lock(tmp_path / "secrets.lock", 0), pytest.raises(CannotCreate, match=r"held them for 0\.05 s"):
        Vault(tmp_path, {}, within_s=0.05).set("a", "1")


def test_no_error_shows_a_secret_or_a_key(tmp_path: Path) -> None:
    key = new_key().text
    Vault(tmp_path, {VARIABLE: key}).set("a", CANARY)
    rewrite(tmp_path, lambda rows: rows.update(b=rows["a"]))
    failures = []
    for environ, name in (({VARIABLE: key}, "b"), ({}, "a"), ({VARIABLE: f"{key},{key}x"}, "a")):
        with pytest.raises(GatewayError) as failure:
            Vault(tmp_path, environ).get(name)
        failures.append(repr(failure.value))

    assert [text for text in failures if CANARY in text or key in text] == []
