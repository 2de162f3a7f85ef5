"""What looks like a credential is hidden, ordinary text is not, and no text makes it slow."""

from __future__ import annotations

import time

import pytest
from mcp_gateway.observe.shapes import HIDDEN, SHAPES, without_shapes

BODY = "Ab3dE6gH9jK2mN5pQ8sT1vW4yZ7aB0cD3eF6"
TOKENS = [
    f"ghp_{BODY}",
    f"gho_{BODY}",
    f"ghs_{BODY}",
    f"github_pat_11{BODY}_{BODY}",
    f"sk-{BODY}",
    f"sk-proj-{BODY}",
    f"sk-ant-api03-{BODY}",
    f"xoxb-123456789012-{BODY}",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    f"AIza{BODY[:35]}",
    f"glpat-{BODY}",
    f"npm_{BODY}",
    f"hf_{BODY}",
    f"mgw_{BODY}",
    f"mgs_{BODY}-_x",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.",
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("around", ["{}", "x {} y", "'{}'", "url?a={}&b=1", "({})", "key={}", "a\n{}\n"])
def test_r_log_1_a_token_is_hidden_wherever_it_stands(token: str, around: str) -> None:
    assert without_shapes(around.format(token)) == around.format(HIDDEN)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Authorization: Bearer abc", f"Authorization: Bearer {HIDDEN}"),
        ("authorization=plain-word next", f"authorization={HIDDEN} next"),
        (f"Authorization: Bearer {HIDDEN}", f"Authorization: Bearer {HIDDEN}"),
        ("Authorization: Bearer abcdefgh", f"Authorization: Bearer {HIDDEN}"),
        ('"authorization": "Token abcdefgh"', f'"authorization": "Token {HIDDEN}"'),
        ("Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==", f"Proxy-Authorization: Basic {HIDDEN}"),
        ("curl -H 'bearer tok3n-of-mine'", f"curl -H 'bearer {HIDDEN}'"),
        ("https://user:pass@host/x", f"https://{HIDDEN}@host/x"),
        ("git clone https://t0ken@host", f"git clone https://{HIDDEN}@host"),
        ("redis://:pa%20ss@host:6379/0", f"redis://{HIDDEN}@host:6379/0"),
        ("GET /x?password=hunter2&a=b", f"GET /x?password={HIDDEN}&a=b"),
        ("GET /x?a=b&access_token=hunter2 HTTP/1.1", f"GET /x?a=b&access_token={HIDDEN} HTTP/1.1"),
        ("GET /x?API-KEY=hunter2#y", f"GET /x?API-KEY={HIDDEN}"),
        ('{"client_secret": "hunter2", "a": 1}', f'{{"client_secret": "{HIDDEN}", "a": 1}}'),
        ("{'db_password': 'hunter2'}", f"{{'db_password': '{HIDDEN}'}}"),
        ("PGPASSWORD=hunter2 psql", f"PGPASSWORD={HIDDEN} psql"),
        (f"password={HIDDEN}&token={HIDDEN}", f"password={HIDDEN}&token={HIDDEN}"),
        (f"https://{HIDDEN}@host", f"https://{HIDDEN}@host"),
    ],
)
def test_r_log_1_what_stands_where_credentials_do_is_hidden(text: str, cleaned: str) -> None:
    assert without_shapes(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "upstream.ready name=up tools=12 after_s=0.41",
        "call.failed server=github code=upstream_timeout",
        "http://127.0.0.1:8765/mcp",
        "mail me@example.com about https://example.com/@scope/package",
        "Basic authentication is needed; bearer tokens are accepted",
        "the token was refused: expected a key",
        "max_tokens=4096 prompt_tokens=17",
        "disk-usage task-runner sk-learn risk-averse-and-long-enough-words",
        "invalid token: unexpected end of input",
        "eyJ is how a JWT begins",
        "github_pattern ghp_ xoxo AKIA",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert without_shapes(text) == text


PUMPS = [word for shape in SHAPES for word in shape.words] + [
    "eyJaaaaaaaa",
    "eyJaaaaaaaa.aaaa.",
    "bearer ",
    "bearer aaaaaaaa",
    "authorization: ",
    "authorization: basic ",
    "https://a",
    "://",
    "password=",
    'secret" : "',
    "AKIA",
    "sk-",
    "a",
    " ",
]


@pytest.mark.parametrize("pump", PUMPS)
def test_no_text_makes_it_slow(pump: str) -> None:
    text = pump * (100_000 // len(pump))
    began_s = time.perf_counter()
    without_shapes(text)

    assert time.perf_counter() - began_s < 0.25  # 17 ms at most were measured (2026-11-24); machines differ
