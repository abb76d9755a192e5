#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The same of Debian 13's Ruby, 3.3, as of the machine's own: tests of test_interpreters.py on a ruby in a root of its own. Skipped
where it cannot be fetched.
"""
import functools

import test_interpreters
from again import declare
from harness import main
from interpreters import ruby_of

declare(__name__, "ruby_33", functools.partial(ruby_of, "trixie"), test_interpreters.ruby_lines, test_interpreters.ruby_census,
        test_interpreters.ruby_collections, test_interpreters.shifted_ruby)

if __name__ == "__main__":
    main()
