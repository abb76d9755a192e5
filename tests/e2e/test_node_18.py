#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The tests of node, by node 18 (V8 10.2) as Debian 12 has it: a program that only starts libnode.so, whose symbols are stripped."""
import functools

import test_node
import test_node_heap
from again import declare
from harness import main
from interpreters import node_of

declare(__name__, "node_18", functools.partial(node_of, "bookworm"), test_node.lines_of_javascript, test_node.shifted_layout,
        test_node_heap.leak_in_a_map, test_node_heap.full_collections, test_node_heap.plain_objects)

if __name__ == "__main__":
    main()
