"""A language model of two rules, written as GGUF: what follows a token depends on that token alone.

A question is answered with a tool call, what a tool answered with "Done." Inside of a call everything that JSON allows
is ranked once and for all, so that llama.cpp's grammar makes the shortest arguments that fit the tool's schema.

The transformer is there in form only: embeddings are one-hot, attention and feed-forward are zero, and the output
matrix is the table of what follows what. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

TEMPLATE: Final = """\
{%- if tools %}<|begin|>system
Tools:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
To call one, write:
<tool_call>
{"name": "its name", "arguments": {}}
</tool_call><|end|>
{% endif %}
{%- for message in messages %}<|begin|>{{ message.role }}
{% if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|end|>
{% endfor %}
{%- if add_generation_prompt %}
<|begin|>assistant{{ '\\n' }}
{%- if tools and messages[-1].role != 'tool' %}<|ask|>{% endif %}
{%- endif %}"""

ANSWER: Final = "Done."

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
SPECIALS: Final = (
    ("<unk>", UNKNOWN),
    ("<s>", CONTROL),
    ("<|end|>", CONTROL),
    ("<|begin|>", CONTROL),
    ("<|ask|>", CONTROL),
    ("<tool_call>", USER_DEFINED),
    ("</tool_call>", USER_DEFINED),
    ("\u2581", NORMAL),
)
IDS: Final = {name: number for number, (name, _) in enumerate(SPECIALS)}
END: Final = IDS["<|end|>"]

VOCABULARY: Final = [*SPECIALS, *((f"<0x{value:02X}>", BYTE) for value in range(256))]
WIDTH: Final = 288
"""The least multiple of 32 that gives each token a place."""
HEAD: Final = 32
CONTEXT: Final = 65_536

FIRST_CHOICES: Final = '"}]:,0'
"""A string ends at once, an object holds what it must. Then any other character; white space last."""

F32, ARRAY, STRING, INT32, UINT32, FLOAT32, BOOL = 0, 9, 8, 5, 4, 6, 7
ALIGNMENT: Final = 32


def byte(character: str) -> int:
    return len(SPECIALS) + ord(character)


def ranking() -> list[float]:
    """How likely each token is after any other."""
    ranks = [-8.0] * len(VOCABULARY)
    for value in range(0x21, 0x7F):
        ranks[len(SPECIALS) + value] = 0.0
    for place, character in enumerate(FIRST_CHOICES):
        ranks[byte(character)] = float(len(FIRST_CHOICES) - place)
    return ranks


def followers() -> dict[int, int]:
    """What certainly follows, where it may."""
    answer = dict(zip(map(byte, "\n" + ANSWER), map(byte, ANSWER), strict=False))
    return {
        **answer,
        byte("."): END,
        IDS["<|ask|>"]: IDS["<tool_call>"],
        IDS["<tool_call>"]: byte("\n"),
        IDS["</tool_call>"]: END,
    }


def table() -> list[list[float]]:
    """Row: the next token; column: the one before."""
    rows = [[rank] * len(VOCABULARY) for rank in ranking()]
    rows[byte("\n")][byte("}")] = 2.5  # after what closes, and before the comma of another call
    rows[IDS["</tool_call>"]][byte("\n")] = 7.0
    for before, after in followers().items():
        rows[after][before] = 20.0
    return rows


def tensors() -> list[tuple[str, tuple[int, ...], list[float]]]:
    """Name, shape (fastest dimension first) and numbers."""
    size, ones = len(VOCABULARY), [1.0] * WIDTH
    embeddings = [float(row == column) for row in range(size) for column in range(WIDTH)]
    output = [value for row in table() for value in (*row, *[0.0] * (WIDTH - size))]

    def nothing(name: str, *shape: int) -> tuple[str, tuple[int, ...], list[float]]:
        return f"blk.0.{name}.weight", shape, [0.0] * (shape[0] * shape[1])

    return [
        ("token_embd.weight", (WIDTH, size), embeddings),
        ("output_norm.weight", (WIDTH,), ones),
        ("output.weight", (WIDTH, size), output),
        ("blk.0.attn_norm.weight", (WIDTH,), ones),
        ("blk.0.ffn_norm.weight", (WIDTH,), ones),
        *(nothing(f"attn_{part}", WIDTH, HEAD) for part in "qkv"),
        nothing("attn_output", HEAD, WIDTH),
        nothing("ffn_gate", WIDTH, HEAD),
        nothing("ffn_up", WIDTH, HEAD),
        nothing("ffn_down", HEAD, WIDTH),
    ]


def metadata() -> dict[str, bytes]:
    names, kinds = zip(*VOCABULARY, strict=True)
    return {
        "general.architecture": string_value("llama"),
        "general.name": string_value("bigram"),
        "llama.context_length": struct.pack("<II", UINT32, CONTEXT),
        "llama.embedding_length": struct.pack("<II", UINT32, WIDTH),
        "llama.block_count": struct.pack("<II", UINT32, 1),
        "llama.feed_forward_length": struct.pack("<II", UINT32, HEAD),
        "llama.attention.head_count": struct.pack("<II", UINT32, 1),
        "llama.attention.head_count_kv": struct.pack("<II", UINT32, 1),
        "llama.attention.key_length": struct.pack("<II", UINT32, HEAD),
        "llama.attention.value_length": struct.pack("<II", UINT32, HEAD),
        "llama.rope.dimension_count": struct.pack("<II", UINT32, HEAD),
        "llama.attention.layer_norm_rms_epsilon": struct.pack("<If", FLOAT32, 1e-6),
        "tokenizer.ggml.model": string_value("llama"),
        "tokenizer.ggml.tokens": array_value(STRING, [text(name) for name in names]),
        "tokenizer.ggml.scores": array_value(FLOAT32, [struct.pack("<f", 0.0) for _ in names]),
        "tokenizer.ggml.token_type": array_value(INT32, [struct.pack("<i", kind) for kind in kinds]),
        "tokenizer.ggml.unknown_token_id": struct.pack("<II", UINT32, IDS["<unk>"]),
        "tokenizer.ggml.bos_token_id": struct.pack("<II", UINT32, IDS["<s>"]),
        "tokenizer.ggml.eos_token_id": struct.pack("<II", UINT32, END),
        "tokenizer.ggml.add_bos_token": struct.pack("<I?", BOOL, False),
        "tokenizer.ggml.add_space_prefix": struct.pack("<I?", BOOL, False),
        "tokenizer.chat_template": string_value(TEMPLATE),
    }


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def string_value(value: str) -> bytes:
    return struct.pack("<I", STRING) + text(value)


def array_value(kind: int, items: Sequence[bytes]) -> bytes:
    return struct.pack("<IIQ", ARRAY, kind, len(items)) + b"".join(items)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def write(path: Path) -> Path:
    """Write the model, about 1 MB."""
    members, weights = metadata(), tensors()
    blocks = [padded(struct.pack(f"<{len(numbers)}f", *numbers)) for _, _, numbers in weights]
    infos, offset = [], 0
    for (name, shape, _), block in zip(weights, blocks, strict=True):
        infos.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, F32, offset))
        offset += len(block)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(weights), len(members))
    described = b"".join(text(key) + value for key, value in members.items())
    path.write_bytes(padded(head + described + b"".join(infos)) + b"".join(blocks))
    return path
