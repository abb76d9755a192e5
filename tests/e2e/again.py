# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tests of other files once more, on another version of what they run. Declares no tests of its own."""
from harness import test


def declare(module, prefix, within, *functions):
    """Each as a test of module (__name__), within the context that within() gives."""
    def once_more(function):
        def again(t):
            with within():
                function(t)
        again.__name__ = f"{prefix}__{function.__name__}"
        again.__module__ = module
        return again
    for function in functions:
        test(once_more(function))
