#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Recursion deeper than the frames that are kept: collapsed in the middle, never cut at the outer end."""
from harness import has_function, main, measure, test

MOST_FRAMES = 127
GAP = "[frames left out]"
TOO_DEEP = "[truncated: too deep]"


def stacks_of(stacks, site):
    return [frames for frames, _ in stacks if has_function(frames, site)]


@test
def recursion(t):
    truth, results, runs = measure("recursion")
    t.sites({"s_direct": "below_a_function_that_calls_itself__all_is_counted",
             "s_mutual": "below_functions_that_call_each_other__all_is_counted",
             "s_bottomless": "deeper_than_any_walk__all_is_counted"}, truth, results)
    for metric, stacks in results.items():
        for site, inner in (("s_direct", ["again", "s_direct"]), ("s_mutual", ["tock", "tick", "s_mutual"])):
            found = stacks_of(stacks, site)
            # 200, 900 and 1900 deep, twice that for two functions
            t.equal(f"one_recursion_at_three_depths__is_one_stack_of_{site}_in_{metric}", len(found), 1)
            for frames in found:
                outer = frames[frames.index("main"):][:2] if "main" in frames else frames[:3]
                t.equal(f"a_deep_recursion__has_its_outermost_frames_to_{site}_in_{metric}", outer,
                        ["main", "outer_fn"])
                t.equal(f"a_deep_recursion__has_its_innermost_frames_to_{site}_in_{metric}",
                        frames[-1 - len(inner):-1], inner)
                t.equal(f"a_deep_recursion__shows_where_frames_are_left_out_to_{site}_in_{metric}",
                        (frames.count(GAP), len([f for f in frames[1:] if f[0] != "["]) <= MOST_FRAMES), (1, True))
        t.equal(f"a_recursion_deeper_than_the_walk__says_so_at_its_root_in_{metric}",
                [(f[1], has_function(f, "main")) for f in stacks_of(stacks, "s_bottomless")], [(TOO_DEEP, False)])
    for run in runs:
        t.no_loss("deep_recursion__loses_nothing", run)


if __name__ == "__main__":
    main()
