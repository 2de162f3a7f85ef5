"""The list of promises and the tests agree."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType

import tests.interaction
from tests.interaction.requirements import REQUIREMENTS


def modules() -> list[ModuleType]:
    found = pkgutil.iter_modules(tests.interaction.__path__, "tests.interaction.")
    return [import_module(module.name) for module in found if ".test_" in module.name]


def shown() -> dict[str, tuple[str, ...]]:
    """Test -> the promises it shows, for every test of this folder but those of the list itself."""
    return {
        f"{module.__name__}.{name}": getattr(test, "shows", ())
        for module in modules()
        if module.__name__ != __name__
        for name, test in vars(module).items()
        if name.startswith("test_")
    }


def test_every_promise_has_a_test() -> None:
    assert REQUIREMENTS.keys() == {name for names in shown().values() for name in names}


def test_every_test_shows_a_promise() -> None:
    assert [test for test, names in shown().items() if not names] == []
