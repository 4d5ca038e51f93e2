"""forebay: a cache on disk that many processes, in many languages, share on one machine.

Reading never waits. A slow refresh runs once, in one process, for all of them.

>>> cache = forebay.Cache(memory=True)
>>> models = cache.source("api/models", ttl="1h", max_stale="7d", deadline="10s")
>>> def fetch(job):
...     return '["small", "large"]'
>>> models.read().state
'absent'
>>> models.get(fetch).json()
['small', 'large']
>>> models.get(fetch).how
'fresh'
"""

from . import _exit
from ._cache import Cache, Events
from ._cached import Cached
from ._durations import Duration
from ._errors import (
    CODES,
    AlreadyUsed,
    Ambiguous,
    Cancelled,
    Closed,
    Damaged,
    Error,
    Failure,
    Full,
    Gated,
    HolderDied,
    InProgress,
    Invalid,
    Io,
    LeaseLost,
    LockTimeout,
    Mismatch,
    NewerFormat,
    NoCredentials,
    NoSpace,
    NotFound,
    Panic,
    Permission,
    RateLimited,
    RefreshFailed,
    Superseded,
    TimedOut,
    TooManyLeases,
    Unauthorized,
    Unavailable,
    UnsafeRoot,
    Unsupported,
    UnsupportedFs,
)
from ._forebay import Reader, Readers, Value, __version__, default_root
from ._job import UNCHANGED, AsyncRefresher, Fetched, Job, Refresher, Ticket
from ._response import from_response
from ._source import Source
from ._types import (
    Acquired,
    Durability,
    Event,
    How,
    Listed,
    Phase,
    Progress,
    Pruned,
    RefreshState,
    Started,
    State,
    Why,
)

ReadResult = Value
"""The same as `Value`."""

_exit.install()

__all__ = [
    "CODES",
    "UNCHANGED",
    "Acquired",
    "AlreadyUsed",
    "Ambiguous",
    "AsyncRefresher",
    "Cache",
    "Cached",
    "Cancelled",
    "Closed",
    "Damaged",
    "Durability",
    "Duration",
    "Error",
    "Event",
    "Events",
    "Failure",
    "Fetched",
    "Full",
    "Gated",
    "HolderDied",
    "How",
    "InProgress",
    "Invalid",
    "Io",
    "Job",
    "LeaseLost",
    "Listed",
    "LockTimeout",
    "Mismatch",
    "NewerFormat",
    "NoCredentials",
    "NoSpace",
    "NotFound",
    "Panic",
    "Permission",
    "Phase",
    "Progress",
    "Pruned",
    "RateLimited",
    "ReadResult",
    "Reader",
    "Readers",
    "RefreshFailed",
    "RefreshState",
    "Refresher",
    "Source",
    "Started",
    "State",
    "Superseded",
    "Ticket",
    "TimedOut",
    "TooManyLeases",
    "Unauthorized",
    "Unavailable",
    "UnsafeRoot",
    "Unsupported",
    "UnsupportedFs",
    "Value",
    "Why",
    "__version__",
    "default_root",
    "from_response",
]
