"""The vectors of tool search: made in the background, kept by text, and done without while the service fails.

Passages of the newest index enter, and queries; vectors of length 1 leave. Nobody waits for passages, and for a query
only briefly. What a vector is compared with is `retrieval`'s business, keeping it on disk the cache's.
"""

from __future__ import annotations

import logging
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio

from mcp_gateway.catalog.text import truncate
from mcp_gateway.errors import GatewayError, ModelUnavailable
from mcp_gateway.llm.service import LLMService
from mcp_gateway.retrieval import Vector, Vectors, unit

logger = logging.getLogger(__name__)

QUERY_WITHIN_S: Final = 1.5
"""What a search may wait for the vectors of its queries before words alone answer it (our choice)."""

PASSAGES_WITHIN_S: Final = 60.0
"""What a batch of passages may take: a model on a slow processor reads about two a second."""

BATCH: Final = 64
"""Passages in one request: progress survives a change of the catalog or a failure in between (our choice)."""

TEXT_BYTES: Final = 1_500
"""Small embedding models read 512 tokens and refuse more; other scripts than ours take about 3 bytes a token."""

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
"""The pause before a failed service is tried again doubles in between (our choice)."""


class Embeddings:
    """Vectors by text, of the service in force. Works while `run` does."""

    def __init__(self, service: Callable[[], LLMService], *, first_pause_s: float = FIRST_PAUSE_S) -> None:
        """`service` gives the one in force; it is asked again by `renew`."""
        self._in_force = service
        self._first_pause_s = first_pause_s
        self._wanted: tuple[str, ...] = ()
        self._woken = anyio.Event()
        self._begin(service())

    @property
    def are_configured(self) -> bool:
        return self._service.capabilities.embeddings

    def renew(self) -> None:
        """Take the service in force, when it is another one than before: its vectors mean something else."""
        if self._in_force() is not self._service:
            self._begin(self._in_force())

    def _begin(self, service: LLMService) -> None:
        self._service = service
        self._known: dict[str, Vector] = {}
        self._failed: tuple[str, ...] = ()
        self._pause_s = self._first_pause_s
        self._woken.set()

    def want(self, passages: Sequence[str]) -> None:
        """These are the passages of the newest index; others are let go of."""
        self._wanted = tuple(dict.fromkeys(passages))
        self._known = {text: self._known[text] for text in self._wanted if text in self._known}
        self._woken.set()

    async def vectors(self, queries: Sequence[str]) -> Vectors | None:
        """For `Index.search`; None where words have to do: nothing is known yet, or the service fails or is slow."""
        if self._failed or not self._known:
            return None
        known = self._known
        asked = await self._embed(tuple(dict.fromkeys(queries)), QUERY_WITHIN_S)
        if asked is None:
            return None
        self._pause_s = self._first_pause_s
        return lambda text: asked.get(text) or known.get(text)

    # -- in the background ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make what is missing, batch by batch, and try a service that failed again. Ends when it is cancelled."""
        while True:
            self._woken = anyio.Event()
            if self._failed:
                await self._try_again()
            elif texts := self._missing()[:BATCH]:
                await self._learn(texts)
            else:
                await self._woken.wait()

    def _missing(self) -> tuple[str, ...]:
        if not self.are_configured:
            return ()
        return tuple(text for text in self._wanted if text not in self._known)

    async def _learn(self, texts: tuple[str, ...]) -> None:
        if (vectors := await self._embed(texts, PASSAGES_WITHIN_S)) is None:
            return
        self._pause_s = self._first_pause_s
        self._keep(vectors)

    async def _try_again(self) -> None:
        """With what failed: no cache knows it, so an answer shows that the service is back."""
        with anyio.move_on_after(self._pause_s):
            await self._woken.wait()
            return
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        if (vectors := await self._embed(self._failed, PASSAGES_WITHIN_S)) is not None:
            logger.info("embeddings.back")
            self._failed = ()
            self._keep(vectors)

    def _keep(self, vectors: Mapping[str, Vector]) -> None:
        wanted = frozenset(self._wanted)
        self._known |= {text: vector for text, vector in vectors.items() if text in wanted}
        if not self._missing():
            logger.info("embeddings.complete passages=%d", len(self._known))

    async def _embed(self, texts: tuple[str, ...], within_s: float) -> dict[str, Vector] | None:
        """None when the service failed, which is said once until it is back, or is not in force any more."""
        service = self._service
        try:
            with anyio.fail_after(within_s):
                await service.prepare()  # also where the cache knows all: the next query has to be quick
                vectors = await service.get_embedding([truncate(text, TEXT_BYTES) for text in texts])
            found = dict(zip(texts, self._comparable(vectors), strict=True))
            return found if service is self._service else None
        except TimeoutError:
            reason = f"no answer within {within_s:g} s"
        except GatewayError as failed:
            reason = failed.message
        except Exception:  # boundary: a provider that is not ours
            logger.exception("embeddings.provider_failed service=%s", type(service).__name__)
            reason = "the provider failed"
        if service is self._service:
            self._fail(texts, reason)
        return None

    def _comparable(self, vectors: Sequence[Vector]) -> list[Vector]:
        """At length 1. Raises ModelUnavailable unless all have numbers, as many as those known."""
        size = len(next(iter((*self._known.values(), *vectors))))
        if not size or any(len(vector) != size or not all(map(math.isfinite, vector)) for vector in vectors):
            raise ModelUnavailable("the model's server sent vectors that cannot be compared; check llm.embedding_model")
        return [array("f", unit(vector)) for vector in vectors]

    def _fail(self, texts: tuple[str, ...], reason: str) -> None:
        if not self._failed:
            logger.warning("embeddings.failed reason=%s; tools are found by words until the service is back", reason)
            self._failed = texts
            self._woken.set()
