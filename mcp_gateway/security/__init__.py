"""Who is asking, and what must stay secret."""

from typing import Final

REFUSED: Final = "the credential is not accepted; send a valid one, or ask the operator of this gateway for it"
"""The one answer to every faulty proof, so that nothing is learnt from refusals; the reason is in the log."""
