"""The plain ranker finds by words, and prefers rare words and names."""

from __future__ import annotations

from mcp_gateway.retrieval.plain import Document, PlainIndex, words

TIME = Document("get_current_time", "time", "Get the current time in a timezone", "timezone: string")
COMMIT = Document("git_commit", "git", "Records changes to the repository", "message: string")
LOG = Document("git_log", "git", "Shows the commits of a branch", "max_count: integer")
ALL = (TIME, COMMIT, LOG)


def names(query: str, limit: int = 10) -> list[str]:
    return [ALL[match.position].name for match in PlainIndex(ALL).search(query, limit)]


def test_identifiers_are_split_into_their_words() -> None:
    assert list(words("getHTTPStatus_of web-page2")) == ["get", "http", "status", "of", "web", "page2"]


def test_a_word_in_a_name_counts_more_than_one_in_a_description() -> None:
    assert names("commit") == ["git_commit", "git_log"]


def test_a_document_with_more_of_the_words_comes_first() -> None:
    assert names("log of git commits")[0] == "git_log"


def test_words_that_say_nothing_find_nothing() -> None:
    assert names("what is the time?") == ["get_current_time"]


def test_a_query_of_such_words_only_is_still_looked_up() -> None:
    assert names("get") == ["get_current_time"]


def test_words_of_the_schema_are_found() -> None:
    assert names("message") == ["git_commit"]


def test_a_short_beginning_is_no_relation() -> None:
    assert names("gi") == []


def test_scores_lie_between_nothing_and_one() -> None:
    exact = PlainIndex([Document("weather")]).search("weather", 1)

    assert [match.score for match in exact] == [1.0]


def test_a_document_that_is_not_accepted_is_not_found() -> None:
    found = PlainIndex(ALL).search("git", 10, lambda position: position != 1)

    assert [match.position for match in found] == [2]


def test_the_limit_cuts_the_weakest() -> None:
    assert names("git commit", limit=1) == ["git_commit"]


def test_a_query_without_words_finds_nothing() -> None:
    assert names("?!") == []


def test_an_empty_index_finds_nothing() -> None:
    assert PlainIndex(()).search("time", 5) == []
