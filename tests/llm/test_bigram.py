"""The model of two rules is a file that others can read."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.llm import bigram


def test_each_tensor_lies_where_the_file_says(tmp_path: Path) -> None:
    data = bigram.write(tmp_path / "model.gguf").read_bytes()
    magic, version, tensors, members = struct.unpack_from("<4sIQQ", data)
    numbers = sum(len(values) for _, _, values in bigram.tensors())
    assert (magic, version, tensors, members) == (b"GGUF", 3, len(bigram.tensors()), len(bigram.metadata()))
    assert data[-4 * bigram.WIDTH * bigram.HEAD :] == bytes(4 * bigram.WIDTH * bigram.HEAD)
    assert len(data) > 4 * numbers


def test_shapes_hold_their_numbers() -> None:
    for _, shape, values in bigram.tensors():
        size = shape[0] * (shape[1] if len(shape) > 1 else 1)
        assert len(values) == size
