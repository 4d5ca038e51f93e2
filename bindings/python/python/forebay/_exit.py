"""What happens at the end of the process and after a fork. Imported once, with the package.

At exit, threads that wait in the native half are called back, for at most a second, so that none of them meets
an interpreter that is being taken down; refreshers that still run are not waited for, and the next process
settles their leases. A forked child begins anew.
"""

from __future__ import annotations

import atexit
import os

from . import _forebay

_PATIENCE_NS = 1_000_000_000


def install() -> None:
    """Register both."""
    atexit.register(_forebay.leave, _PATIENCE_NS)
    os.register_at_fork(after_in_child=_forebay.forked)
