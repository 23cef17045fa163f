"""Imported by the server that warm children are forked from, as the first thing it does.

The server would wait for its children before it ends, so it has to be told to die with its parent;
the children die with the server.
"""

import os

from awlab.execute.mortal import die_with_parent

PID = os.getpid()
"""Of the server; its children find it as it is there."""

die_with_parent(os.getppid())
# OpenMP reads it when torch is imported, which is next. Threads that wait by spinning take their
# time from other runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
