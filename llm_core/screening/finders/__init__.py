"""Patterns for personal data: the gateway's own, beside those of a library.

Each finder looks for one kind. They know no language: where a pattern alone says too little, a cue
has to stand near it, in any of the languages that are listed.
"""

from llm_core.screening.finders.base import Finder
from llm_core.screening.finders.common import COMMON
from llm_core.screening.finders.national import NATIONAL
from llm_core.screening.finders.persons import PERSONS

OWN: tuple[Finder, ...] = (*COMMON, *NATIONAL, *PERSONS)
"""Every finder of our own."""
