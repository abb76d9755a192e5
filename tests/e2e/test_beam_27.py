#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
The same of Debian 13's Erlang, OTP 27, and Elixir as of the machine's own: a choice of the tests of test_beam.py,
test_beam_processes.py and test_elixir.py, on nodes in a root of their own. Skipped where it cannot be fetched.
"""
import functools

import test_beam
import test_beam_processes
import test_elixir
from again import declare
from erlang_node import erlang_of
from harness import main

declare(__name__, "otp_27", functools.partial(erlang_of, "trixie"), test_beam.stacks_against_the_runtimes_own,
        test_beam.lines_against_the_runtimes_own, test_beam_processes.processes_from_outside,
        test_beam_processes.names_of_what_proc_lib_starts, test_beam_processes.collections_from_outside,
        test_beam_processes.collections_of_any_kind, test_beam_processes.work_of_dirty_schedulers,
        test_beam_processes.a_layout_that_is_off_by_a_word, test_elixir.names_as_elixir_writes_them)

if __name__ == "__main__":
    main()
