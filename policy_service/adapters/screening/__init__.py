"""Looking at words in a process of its own: patterns of presidio and ours, lists of compliance."""

from policy_service.adapters.screening.lists import BrokenLists, read_lists
from policy_service.adapters.screening.pool import ScreeningPool

__all__ = ["BrokenLists", "ScreeningPool", "read_lists"]
