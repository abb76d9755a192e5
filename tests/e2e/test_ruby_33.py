#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The same of Debian 13's Ruby, 3.3, as of the machine's own: tests of test_interpreters.py on a ruby in a root of its own. Skipped
where it cannot be fetched.
"""
import functools

import test_interpreters
from harness import main, test
from interpreters import ruby_of

CHOICE = (test_interpreters.ruby_lines, test_interpreters.ruby_census, test_interpreters.ruby_collections,
          test_interpreters.shifted_ruby)


def of_33(t, function):
    with ruby_of("trixie"):
        function(t)


def declare(function):
    again = functools.partial(of_33, function=function)
    again.__name__ = "ruby_33__" + function.__name__
    again.__module__ = __name__
    test(again)


for chosen in CHOICE:
    declare(chosen)


if __name__ == "__main__":
    main()
