"""A model of model2vec in a folder, with a vector for each of a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

UNKNOWN = "[UNK]"
FILLER = "[PAD]"


def write_model(folder: Path, words: Mapping[str, Sequence[float]]) -> None:
    """Any other word has a vector of zeros. All vectors are equally long."""
    size = len(next(iter(words.values())))
    rows = {UNKNOWN: (0.0,) * size, FILLER: (0.0,) * size, **words}
    tokenizer = Tokenizer(WordLevel({word: row for row, word in enumerate(rows)}, unk_token=UNKNOWN))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    StaticModel(np.array(list(rows.values()), dtype=np.float32), tokenizer).save_pretrained(folder)
