"""Sentence vectors of a MiniLM model. Runs under a Python with numpy, safetensors and tokenizers: JSON in, JSON out."""

import json
import math
import sys
from pathlib import Path
from typing import Any

MAX_TOKENS = 256
BATCH = 32
EPSILON = 1e-12


def main() -> None:
    request = json.load(sys.stdin)
    json.dump({"vectors": embed(Path(request["model"]), request["texts"])}, sys.stdout)


def embed(folder: Path, texts: list[str]) -> list[list[float]]:
    """Unit vectors: the mean of the last layer over a text's tokens. Texts of like length share a batch."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    weights = load_file(folder / "model.safetensors")
    order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
    vectors: list[list[float]] = [[] for _ in texts]
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        encoded = tokenizer.encode_batch([texts[position] for position in batch])
        for position, vector in zip(batch, forward(weights, settings, encoded), strict=True):
            vectors[position] = [round(float(value), 6) for value in vector]
    return vectors


def forward(weights: Any, settings: Any, encoded: Any) -> Any:
    import numpy as np

    ids = np.array([text.ids for text in encoded])
    mask = np.array([text.attention_mask for text in encoded], dtype=np.float32)
    hidden = weights["embeddings.word_embeddings.weight"][ids]
    hidden = hidden + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
    hidden = normal(weights, "embeddings.LayerNorm", hidden + weights["embeddings.token_type_embeddings.weight"][0])
    for number in range(settings["num_hidden_layers"]):
        hidden = layer(weights, f"encoder.layer.{number}", settings["num_attention_heads"], hidden, mask)
    pooled = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def layer(weights: Any, name: str, heads: int, hidden: Any, mask: Any) -> Any:
    import numpy as np

    def split(part: str) -> Any:
        projected = linear(weights, f"{name}.attention.self.{part}", hidden)
        return projected.reshape(*projected.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    query, key, value = (split(part) for part in ("query", "key", "value"))
    scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(query.shape[-1]) + (mask[:, None, None, :] - 1) * 1e9
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    seen = (shares / shares.sum(-1, keepdims=True)) @ value
    seen = seen.transpose(0, 2, 1, 3).reshape(hidden.shape)
    hidden = normal(
        weights, f"{name}.attention.output.LayerNorm", hidden + linear(weights, f"{name}.attention.output.dense", seen)
    )
    inner = gelu(linear(weights, f"{name}.intermediate.dense", hidden))
    return normal(weights, f"{name}.output.LayerNorm", hidden + linear(weights, f"{name}.output.dense", inner))


def linear(weights: Any, name: str, values: Any) -> Any:
    return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def normal(weights: Any, name: str, values: Any) -> Any:
    import numpy as np

    centred = values - values.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def gelu(values: Any) -> Any:
    """By the tanh formula; it differs from the exact one by less than .001."""
    import numpy as np

    return 0.5 * values * (1 + np.tanh(math.sqrt(2 / math.pi) * (values + 0.044715 * values**3)))


if __name__ == "__main__":
    main()
