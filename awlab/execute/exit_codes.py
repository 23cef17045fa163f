"""What the exit code of a process says, to shells and to those that started it."""

FAILED = 1
"""A run failed."""
BAD_INPUT = 2
"""Something that a user gave is wrong; nothing was done."""
DISK_FULL = 74
"""There was no room for what a run writes, maybe not even for saying so in a file (EX_IOERR)."""
CLAIMED = 73
"""Another process is executing the run."""
PREEMPTED = 75
"""Ended on request with its state saved: the same command goes on (EX_TEMPFAIL)."""
INTERRUPTED = 130
"""Ended by Ctrl-C, with its state saved as well."""
