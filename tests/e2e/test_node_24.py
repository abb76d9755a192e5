#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The tests of node, by node's own builds of 24 (V8 13.6) and, for what differs between the two, of 22 (V8 12.4)."""
import test_node
import test_node_heap

from harness import main, test
from interpreters import node_of

VERSION = "24.9.0"
VERSION_BEFORE = "22.23.3"


@test
def lines_of_javascript(t):
    with node_of(VERSION):
        test_node.lines_of_javascript(t)


@test
def inlined_functions(t):
    with node_of(VERSION):
        test_node.inlined_functions(t)


@test
def leak_in_a_map(t):
    with node_of(VERSION):
        test_node_heap.leak_in_a_map(t)


@test
def plain_objects(t):
    with node_of(VERSION):
        test_node_heap.plain_objects(t)


@test
def leak_in_a_map_of_22(t):
    with node_of(VERSION_BEFORE):
        test_node_heap.leak_in_a_map(t)


if __name__ == "__main__":
    main()
