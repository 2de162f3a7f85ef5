"""One at a time, within a deadline."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.security.file_lock import LockTimeout, file_lock

from tests.security.holding import held_elsewhere


def test_a_lock_that_another_process_holds_is_waited_for_in_vain(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held_elsewhere(lock), pytest.raises(LockTimeout), file_lock(lock, 0.05):
        pass


def test_the_end_of_its_holder_frees_a_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with held_elsewhere(lock):
        pass

    with file_lock(lock, 0):
        assert lock.stat().st_mode & 0o777 == 0o600


def test_a_lock_is_free_again_after_a_failure_inside(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), file_lock(tmp_path / "lock", 0):
        raise ZeroDivisionError

    with file_lock(tmp_path / "lock", 0):
        pass
