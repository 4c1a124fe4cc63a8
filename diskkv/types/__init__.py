"""What each data type does: members and records; no argv, no replies, no clients. Importing this registers all types."""

from diskkv.types import lists as lists
from diskkv.types import strings as strings
