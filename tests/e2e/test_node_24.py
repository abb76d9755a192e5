#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The tests of node, by node's own builds of 24 (V8 13.6) and, for what differs between the two, of 22 (V8 12.4)."""
import functools

import test_node
import test_node_heap
from again import declare
from harness import main
from interpreters import node_of

declare(__name__, "node_24", functools.partial(node_of, "24.9.0"), test_node.lines_of_javascript, test_node.inlined_functions,
        test_node.shifted_layout, test_node.shifted_layout_of_inlined, test_node_heap.leak_in_a_map, test_node_heap.plain_objects)
declare(__name__, "node_22", functools.partial(node_of, "22.23.3"), test_node.inlined_functions, test_node.shifted_layout,
        test_node.shifted_layout_of_inlined, test_node_heap.leak_in_a_map)

if __name__ == "__main__":
    main()
