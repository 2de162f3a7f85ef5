"""Nodes and the way to them."""

from __future__ import annotations

from mcp_gateway.config.tree import Entry, Items, Leaf, Mark, Table, dotted, leaves, locate

AT = Mark(1, 1)
TREE = Table((Entry("a", AT, Items((Leaf("x", AT), Table((), AT)), AT), "A"), Entry("b", AT, Leaf(None, AT), "b")), AT)


def test_leaves_come_in_the_order_of_the_file() -> None:
    assert [leaf.text for leaf in leaves(TREE)] == ["x", None]


def test_a_path_is_spelt_as_the_file_spells_it() -> None:
    assert locate(TREE, ("a", 0)).path == "A[0]"


def test_steps_that_lead_nowhere_are_passed_over() -> None:
    assert locate(TREE, ("a", "tuple", 0, 7)).path == "A[0]"


def test_a_path_stays_on_one_line() -> None:
    assert dotted("a", "b\nc") == r"a.'b\nc'"
    assert len(dotted("", "x" * 500)) < 100
