"""When a token is renewed, and what stays when it is."""

from __future__ import annotations

import pytest
from mcp_gateway.upstream.oauth.account import Account, OAuthClient, Tokens

NOW = 1_000_000.0


def account(lasts_s: float | None, refresh: str | None = "r1") -> Account:
    tokens = Tokens("a1", refresh, lasts_s, "use")
    return Account(
        "login", "https://r.example", "https://i.example", "https://i.example/t", OAuthClient("c"), tokens, NOW
    )


@pytest.mark.parametrize(
    ("lasts_s", "after_s", "is_due", "has_ended"),
    [
        (3600, 0, False, False),
        (3600, 3537, False, False),
        (3600, 3539, True, False),
        (3600, 3597, True, False),
        (3600, 3599, True, True),
        (100, 87, False, False),
        (100, 89, True, False),
        (0, 0, True, True),
        (None, 1e9, False, False),
    ],
)
def test_a_token_is_renewed_in_the_last_minute_or_tenth_of_its_life(
    lasts_s: float | None, after_s: float, is_due: bool, has_ended: bool
) -> None:
    login = account(lasts_s)
    assert (login.is_due(NOW + after_s), login.has_ended(NOW + after_s)) == (is_due, has_ended)


def test_what_new_tokens_do_not_say_stays() -> None:
    renewed = account(60).renewed(Tokens("a2", None, 30, None), NOW + 60)
    assert renewed.tokens == Tokens("a2", "r1", 30, "use")
    assert (renewed.login, renewed.ends_at) == ("login", NOW + 90)


def test_a_new_refresh_token_takes_the_place_of_the_old_one() -> None:
    assert account(60).renewed(Tokens("a2", "r2"), NOW).tokens.refresh == "r2"


def test_secrets_are_not_in_what_is_shown_of_an_account() -> None:
    login = Account("l", "r", "i", "t", OAuthClient("c", "s3cret"), Tokens("acc3ss", "r3fresh"), NOW)
    assert not any(secret in repr(login) for secret in ("s3cret", "acc3ss", "r3fresh"))
