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
from ._cache import Cache
from ._cached import Cached
from ._compute import LiveJob
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
from ._events import Events
from ._forebay import (
    Answer,
    Credential,
    Derived,
    Reader,
    Readers,
    Value,
    __version__,
    default_root,
    default_state_root,
)
from ._inputs import Input, LiveKey, live_key
from ._job import UNCHANGED, AsyncRefresher, Fetched, Job, Refresher, Ticket
from ._live import Live, LiveListed, LiveTicket, LiveWhy, Lookup
from ._memo import Memo
from ._quota import Blocked, Quota, QuotaJob, QuotaKey, QuotaState
from ._response import from_response
from ._rotate import (
    Credentials,
    Exchange,
    NotSent,
    RotateState,
    rotate,
    rotate_async,
    rotate_reset,
)
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
    "Answer",
    "AsyncRefresher",
    "Blocked",
    "Cache",
    "Cached",
    "Cancelled",
    "Closed",
    "Credential",
    "Credentials",
    "Damaged",
    "Derived",
    "Durability",
    "Duration",
    "Error",
    "Event",
    "Events",
    "Exchange",
    "Failure",
    "Fetched",
    "Full",
    "Gated",
    "HolderDied",
    "How",
    "InProgress",
    "Input",
    "Invalid",
    "Io",
    "Job",
    "LeaseLost",
    "Listed",
    "Live",
    "LiveJob",
    "LiveKey",
    "LiveListed",
    "LiveTicket",
    "LiveWhy",
    "LockTimeout",
    "Lookup",
    "Memo",
    "Mismatch",
    "NewerFormat",
    "NoCredentials",
    "NoSpace",
    "NotFound",
    "NotSent",
    "Panic",
    "Permission",
    "Phase",
    "Progress",
    "Pruned",
    "Quota",
    "QuotaJob",
    "QuotaKey",
    "QuotaState",
    "RateLimited",
    "ReadResult",
    "Reader",
    "Readers",
    "RefreshFailed",
    "RefreshState",
    "Refresher",
    "RotateState",
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
    "default_state_root",
    "from_response",
    "live_key",
    "rotate",
    "rotate_async",
    "rotate_reset",
]
