"""What is the name of one image only, and what is not."""

from __future__ import annotations

import pytest
from mcp_gateway.security.images import is_pinned

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize("image", [DIGEST, f"alpine@{DIGEST}", f"localhost:5000/a/b-c_d.e@{DIGEST}", f"a:1@{DIGEST}"])
def test_a_digest_pins(image: str) -> None:
    assert is_pinned(image)


@pytest.mark.parametrize("image", ["alpine", "alpine:3", f"--x@{DIGEST}", f"a b@{DIGEST}", f"{DIGEST}0", f"{DIGEST}\n"])
def test_anything_else_does_not(image: str) -> None:
    assert not is_pinned(image)
