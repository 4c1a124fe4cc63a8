"""What each data type does: members and records; no argv, no replies, no clients. Importing this registers all types."""

from diskkv.types import hashes as hashes
from diskkv.types import lists as lists
from diskkv.types import sets as sets
from diskkv.types import streams as streams
from diskkv.types import strings as strings
from diskkv.types import zsets as zsets
