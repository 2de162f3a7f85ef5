"""Results of strangers, made fit to show: markup and hidden characters out, addresses checked, doubles dropped.

Hits as services sent them enter, clean ones leave. What a text says is not judged: it stays untrusted.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from mcp_gateway.builtin.providers.base import Hit
from mcp_gateway.catalog.text import ELLIPSIS, clean

MAX_SNIPPET_CHARS = 500
MAX_TITLE_CHARS = 200
MAX_URL_CHARS = 2048
"""Longer addresses are dropped: browsers and models mangle them (our choice)."""

_TAG = re.compile(r"<[/!?]?[A-Za-z][^<>]{0,1000}>|<!--.{0,1000}?-->", re.DOTALL)
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\xa0<>\"\\^`{|}]")
_TRACKING = re.compile(r"utm_\w+|fbclid|gclid|msclkid", re.IGNORECASE)


def plain(text: str, max_chars: int) -> str:
    """One line of visible text, without markup, cut at `max_chars`."""
    # Entities first: `&lt;b&gt;` is how some services send their highlighting.
    bare = clean(_TAG.sub(" ", html.unescape(text[: max_chars * 20])))
    line = " ".join(bare.split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + ELLIPSIS


def web_address(text: str) -> SplitResult | None:
    """An http or https address that can be shown as it is, or None. One with a user name in it misleads people."""
    if len(text) > MAX_URL_CHARS or _NOT_IN_URLS.search(text) or clean(text) != text:
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    is_web = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    return parts if is_web else None


def tidy(hit: Hit) -> Hit | None:
    """The hit made fit to show; None when it has no usable address."""
    address = web_address(hit.url.strip())
    if address is None:
        return None
    return replace(
        hit,
        title=plain(hit.title, MAX_TITLE_CHARS) or (address.hostname or ""),
        url=address.geturl(),
        snippet=plain(hit.snippet, MAX_SNIPPET_CHARS),
        source=plain(hit.source, 80) or (address.hostname or ""),
        published=plain(hit.published, 40) or None if hit.published else None,
    )


def merged(lists: Sequence[Iterable[Hit]], limit: int) -> list[Hit]:
    """The best of every list first, then the second best, each address once."""
    unique: dict[str, Hit] = {}
    for hit in chain.from_iterable(zip_longest(*lists)):
        tidied = tidy(hit) if hit is not None else None
        if tidied is not None:
            unique.setdefault(_identity(tidied.url), tidied)
    return list(unique.values())[:limit]


def _identity(url: str) -> str:
    """What makes two addresses the same page: scheme, `www.`, fragment and tracking do not count."""
    parts = urlsplit(url)
    query = urlencode([pair for pair in parse_qsl(parts.query, True) if not _TRACKING.fullmatch(pair[0])])
    host = parts.netloc.lower().removeprefix("www.")
    return urlunsplit(("", host, parts.path.rstrip("/"), query, ""))
