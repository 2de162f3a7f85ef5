"""One bench for each module: all of its cases behind one gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.trial import Trial


@pytest.fixture(scope="module")
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    def new_folder() -> Path:
        return tmp_path_factory.mktemp("bench")

    return Trial(_selected(request), new_folder)


def _selected(request: pytest.FixtureRequest) -> list[Case]:
    """The cases of this module that are not left out by `-k` and the like."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    calls = [item.callspec for item in items if item.module is request.module and hasattr(item, "callspec")]
    return [case for call in calls if isinstance(case := call.params["case"], Case)]
