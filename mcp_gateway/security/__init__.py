"""Who is asking, and what must stay secret."""

from typing import Final

REFUSED: Final = "no key, or one that is not accepted; send Authorization: Bearer KEY, or ask this gateway's operator"
"""The one answer to every faulty proof, so that nothing is learnt from refusals; the reason is in the log."""
