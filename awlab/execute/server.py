"""Imported by the server that warm children are forked from, as the first thing it does.

The server would wait for its children before it ends, so it has to be told to die with its parent;
the children die with the server.
"""

from awlab.execute.mortal import die_with_parent

die_with_parent()
