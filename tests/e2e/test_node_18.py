#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The tests of node, by node 18 (V8 10.2) as Debian 12 has it: a program that only starts libnode.so, whose symbols are stripped."""
import test_node
import test_node_heap

from harness import main, test
from interpreters import node_of

SUITE = "bookworm"


@test
def lines_of_javascript(t):
    with node_of(SUITE):
        test_node.lines_of_javascript(t)


@test
def leak_in_a_map(t):
    with node_of(SUITE):
        test_node_heap.leak_in_a_map(t)


@test
def full_collections(t):
    with node_of(SUITE):
        test_node_heap.full_collections(t)


@test
def plain_objects(t):
    with node_of(SUITE):
        test_node_heap.plain_objects(t)


if __name__ == "__main__":
    main()
