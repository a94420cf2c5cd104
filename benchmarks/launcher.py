"""Runs one command and tells, as JSON, how long it took and what it used. Started with `python -I -S`: see `measure`.

The peak memory that Linux tells of a process includes that of the process which it was forked from, so this one, which
loads next to nothing, stands between the benchmark and what is measured.
"""

import json
import os
import sys
import time


def main() -> None:
    """`launcher.py REPORT OUTPUT COMMAND...`: the output of the command, and its errors, go to OUTPUT."""
    report, output, *command = sys.argv[1:]
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os.execvp(command[0], command)
    _, status, used = os.wait4(child, 0)
    found = {
        "wall_s": time.perf_counter() - began,
        "processor_s": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "exit": os.waitstatus_to_exitcode(status),
    }
    with open(report, "w", encoding="utf-8") as file:
        json.dump(found, file)


main()
