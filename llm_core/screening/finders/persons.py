"""Names of people, as far as patterns can tell: behind a title, or where somebody gives their name.

A name by itself looks like any two words, and no pattern finds it. What must not go out belongs
into compliance's deny lists.
"""

import re

from llm_core.screening.finders.base import PatternFinder

_UPPER = r"[^\W\d_a-zß-öø-ÿ]"
_PARTICLE = r"(?:von der|von dem|van der|van den|van de|de la|de los|von|van|zu|zum|den|de|di|da|"
_PARTICLE += r"dos|del|della|der|du|le|la|bin|al|el|y)"
_NAME = rf"(?:{_UPPER}\.|{_UPPER}[\w'\u2019]*\w(?:-{_UPPER}[\w'\u2019]*\w)?)"
_FULL_NAME = rf"(?P<value>{_NAME}(?:[ \u00a0](?:{_PARTICLE}[ \u00a0])?{_NAME}){{0,3}})"
_TITLES = (
    "Mr|Mrs|Ms|Mx|Miss|Sir|Madam|Dr|Prof|Professor|Herr|Herrn|Frau|Hr|Fr|Dipl-Ing|Monsieur|Madame|"
    "Mademoiselle|Mme|Mlle|M|Señor|Señora|Señorita|Sr|Sra|Srta|Don|Doña|Senhor|Senhora|Dona|"
    "Signor|Signora|Signore|Sig|Dott|Dottor|Dottoressa|Avv|Pan|Pani|Dhr|Mevr|Mevrouw|Meneer|Dra"
)
_INTRODUCED = (
    r"[Mm]y (?:full )?name is|[Nn]ame ?:|[Ii]ch hei(?:ß|ss)e|[Mm]ein Name ist|"
    r"[Jj]e m['\u2019]appelle|[Mm]on nom est|[Mm]e llamo|"
    r"[Mm]i nombre es|[Mm]i chiamo|[Nn]azywam się|[Mm]ijn naam is|"
    r"[Ii]k heet|[Mm]e chamo|[Oo] meu nome é"
)

PERSONS = (
    PatternFinder(
        "PERSON",
        re.compile(rf"(?<![\w-])(?:(?:{_TITLES})\.?[ \u00a0])+{_FULL_NAME}"),
        score=0.6,
    ),
    PatternFinder(
        "PERSON", re.compile(rf"(?<!\w)(?:{_INTRODUCED})[ \u00a0]{_FULL_NAME}"), score=0.6
    ),
)
