"""The `openai` library behind one door: made at first use, closed once, its errors translated to ours.

Importing the library takes about a second, so nothing of it is loaded before a model is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from mcp_gateway.catalog.text import clean
from mcp_gateway.errors import GatewayError, ModelRefused, ModelUnavailable
from mcp_gateway.llm.service import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

logger = logging.getLogger(__name__)

RETRIES: Final = 2
"""After the first attempt, for 408, 409, 429, 5xx and broken connections; the library waits 0.5 to 8 s in between."""

CONNECT_WITHIN_S: Final = 10.0
"""A model may think for long; its server accepts a connection soon or not at all (our choice)."""

_PASSING: Final = frozenset({408, 409, 425, 429})
_REASON_CHARS: Final = 300
_TOO_LONG: Final = ("context_length", "context length", "exceed_context", "maximum context", "too many tokens")


class TooLong(ModelRefused):
    """The conversation does not fit into the model."""


class Client:
    """The connection to one OpenAI-compatible API."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._made: AsyncOpenAI | None = None
        self._model = settings.model
        self._lock = anyio.Lock()

    async def get(self) -> AsyncOpenAI:
        """The library's client. Raises ModelRefused when nothing says which service it should be."""
        async with self._lock:
            if self._made is None:
                self._made = await self._make()
        return self._made

    async def model(self) -> str:
        """The configured model; where a server of one's own has exactly one, that one. Raises ModelRefused."""
        if self._model is None:
            self._model = await self._only_model()
        return self._model

    async def aclose(self) -> None:
        if self._made is not None:
            await self._made.close()

    async def _make(self) -> AsyncOpenAI:
        settings = self._settings
        if settings.api_key is None and settings.base_url is None:
            raise ModelRefused("no language model: set llm.api_key (API_KEY), or llm.base_url (BASE_URL)")
        openai = await anyio.to_thread.run_sync(_library)
        return openai.AsyncOpenAI(  # type: ignore[no-any-return]  # the module is imported late
            api_key=settings.api_key or "none",  # the library insists; servers of one's own mostly do not
            base_url=settings.base_url or "https://api.openai.com/v1",  # not from OPENAI_BASE_URL: the file decides
            max_retries=RETRIES,
            timeout=openai.Timeout(settings.timeout_s, connect=min(CONNECT_WITHIN_S, settings.timeout_s)),
        )

    async def _only_model(self) -> str:
        advice = "set llm.model, or the variable MODEL"
        if self._settings.base_url is None:
            raise ModelRefused(f"no model is named: {advice}")
        client = await self.get()
        with self.translated():
            listed = await client.models.list()
            names = [model.id for model in listed.data or ()]
        if len(names) != 1:
            raise ModelRefused(f"no model is named and the server has {len(names)}: {advice}")
        return names[0]

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the library as ModelUnavailable, ModelRefused or TooLong; nothing else comes out."""
        try:
            yield
        except GatewayError:
            raise
        except Exception as failed:  # boundary: the library, and whatever a server makes it stumble over
            raise self._ours(failed) from None

    def _ours(self, failed: Exception) -> GatewayError:
        """1. no answer in time  2. no connection, or a broken one  3. a status  4. an error inside a stream
        5. anything else: the answer was not what the API promises."""
        import openai

        match failed:
            case openai.APITimeoutError() | TimeoutError():
                return ModelUnavailable(f"the model did not answer within {self._settings.timeout_s:g} s")
            case openai.APIConnectionError():
                return ModelUnavailable("the model's server cannot be reached, or broke off; check llm.base_url")
            case openai.APIStatusError(status_code=status):
                return self._by_status(status, self._reason(failed))
            case openai.APIError():
                return ModelUnavailable(f"the model's server reports an error: {self._reason(failed)}")
        logger.info("llm.unusable_answer error=%s", type(failed).__name__)
        return ModelUnavailable("the model's server sent something that is no answer; check llm.base_url")

    def _by_status(self, status: int, reason: str) -> GatewayError:
        told = f"HTTP {status}: {reason}"
        if any(sign in reason.lower() for sign in _TOO_LONG):
            return TooLong(f"the conversation is too long for the model ({told})")
        if status in (401, 403):
            return ModelRefused(f"the model's server refused the key ({told}); check llm.api_key")
        if status in _PASSING or status >= 500:
            return ModelUnavailable(f"the model's server cannot answer now ({told})")
        return ModelRefused(f"the model's server refused the request ({told})")

    def _reason(self, failed: Exception) -> str:
        """What the server said, on one line and without our key."""
        text = " ".join(clean(reason_of(failed)).split())
        if self._settings.api_key:
            text = text.replace(self._settings.api_key, "[redacted]")
        return text[:_REASON_CHARS]


def reason_of(failed: Exception) -> str:
    """The server's words: message, type and code of the error body, wherever it puts them."""
    body: Any = getattr(failed, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict):
        told = [inner.get(key) for key in ("message", "type", "code", "param", "detail")]
        return " ".join(str(part) for part in told if part not in (None, ""))
    return str(inner or getattr(failed, "message", "") or failed)


def _library() -> Any:
    import openai

    return openai
