# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""
For tests of what libraries cost while a program loads them: the file in which the program tells it itself, and the report's
table. Depends on nothing.
"""
import os
import re


def truth_file(d):
    """d/truth, which a program without rights may write."""
    path = os.path.join(d, "truth")
    with open(path, "w"):
        pass
    os.chmod(d, 0o755)
    os.chmod(path, 0o666)


def table(text):
    """name -> (depth, anon, self, file), in the order of the rows."""
    found = re.search(r"^MEMORY BY LIBRARY.*\n.*LIBRARY\n((?:.+\n)+)", text, re.M)
    rows = re.findall(r"^ *([0-9.]+) +([0-9.]+) +([0-9.]+)  ( *)(\S+)$", found[1], re.M) if found else []
    return {name: (len(blanks) // 2, float(anon), float(own), float(file)) for anon, own, file, blanks, name in rows}
