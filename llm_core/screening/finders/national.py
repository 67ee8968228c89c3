"""Numbers that states give to people, by their check digits.

| Kind | Check | Source |
|---|---|---|
| `FR_NIR` | key of 97 | https://www.insee.fr/en/metadonnees/definition/c1409 |
| `NL_BSN` | eleven test, and a cue | https://www.rvig.nl/bsn |
| `BE_NN` | 97 of the first nine | https://www.ibz.rrn.fgov.be/en/national-register |
| `CH_AHV` | EAN-13 | https://www.zas.admin.ch |
| `AT_SVNR` | modulo 11, weights 3 7 9 5 8 4 2 1 6, and a date | https://www.sozialversicherung.at |
| `BR_CPF` | two digits modulo 11 | https://www.gov.br/receitafederal |
| `PT_NIF` | modulo 11, and a cue | https://info.portaldasfinancas.gov.pt |
| `DE_TAX_ID` | ISO/IEC 7064, MOD 11,10 | https://www.bzst.de |
| `ES_NIF`, `ES_NIE` | letter by 23 | https://www.interior.gob.es |
| `IT_FISCAL_CODE` | letter by 26 | https://www.agenziaentrate.gov.it |
| `PL_PESEL` | weights 1 3 7 9, and a date | https://www.gov.pl/web/gov/czym-jest-numer-pesel |
| `UK_NINO` | form and prefix; it has no check digit | https://www.gov.uk/hmrc-internal-manuals |
"""

import re
from collections.abc import Sequence
from datetime import date

from llm_core.screening.finders.base import Cues, PatternFinder, digits_of

_GAP = r"[ \u00a0.\-/]?"
_CONTROL = "TRWAGMYFPDXBNJZSQVHLCKE"
_MONTHS_IT = "ABCDEHLMPRST"
_ODD_IT = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18),
            *(20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        ),
        strict=True,
    )
)
_NOT_A_NINO = ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def _grouped(*sizes: int) -> str:
    return _GAP.join(f"[0-9]{{{size}}}" for size in sizes)


def _whole(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """A number that is not a part of a longer word, number or decimal."""
    return re.compile(rf"(?<![\w])(?<![0-9][.,])(?:{pattern})(?!\w|[.,][0-9])", flags)


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(one) * weight for one, weight in zip(digits, weights, strict=False))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def is_nir(text: str) -> bool:
    """France: numéro d'inscription au répertoire; Corsica's `2A` counts as 19, `2B` as 18."""
    given = digits_of(text)
    body = given[:13].replace("2A", "19").replace("2B", "18")
    if len(given) != 15 or not body.isdigit() or not given[13:].isdigit():  # noqa: PLR2004
        return False
    month = int(given[3:5])
    is_month = 1 <= month <= 12 or 20 <= month <= 42 or month >= 50  # noqa: PLR2004 - when unknown
    return is_month and int(given[13:]) == 97 - int(body) % 97


def is_bsn(text: str) -> bool:
    """Netherlands: burgerservicenummer."""
    given = digits_of(text).zfill(9)
    total = _weighted(given, (9, 8, 7, 6, 5, 4, 3, 2)) - int(given[8])
    return int(given) > 0 and total % 11 == 0


def is_nn(text: str) -> bool:
    """Belgium: rijksregisternummer; for those born from 2000 on a 2 stands before it."""
    given = digits_of(text)
    month, day = int(given[2:4]) % 20, int(given[4:6])
    key = int(given[9:])
    is_born = month <= 12 and day <= 31  # noqa: PLR2004 - both may be 0 when unknown
    return is_born and key in (97 - int(given[:9]) % 97, 97 - int("2" + given[:9]) % 97)


def is_ahv(text: str) -> bool:
    """Switzerland: AHV-Nummer."""
    given = digits_of(text)
    return (_weighted(given[:12], (1, 3) * 6) + int(given[12])) % 10 == 0


def is_svnr(text: str) -> bool:
    """Austria: Versicherungsnummer; the check digit is the fourth, the date of birth follows."""
    given = digits_of(text)
    total = _weighted(given[:3] + given[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6))
    day, month = int(given[4:6]), int(given[6:8])
    is_born = 1 <= day <= 31 and 1 <= month <= 15 and given[0] != "0"  # noqa: PLR2004
    return is_born and total % 11 == int(given[3])


def is_cpf(text: str) -> bool:
    """Brazil: cadastro de pessoas físicas."""
    given = digits_of(text)
    if len(set(given)) == 1:
        return False
    for size in (9, 10):
        check = _weighted(given[:size], range(size + 1, 1, -1)) * 10 % 11 % 10
        if check != int(given[size]):
            return False
    return True


def is_pt_nif(text: str) -> bool:
    """Portugal: número de identificação fiscal of a person."""
    given = digits_of(text)
    check = 11 - _weighted(given, range(9, 1, -1)) % 11
    return given[0] in "123" and int(given[8]) == (0 if check > 9 else check)  # noqa: PLR2004


def is_de_tax_id(text: str) -> bool:
    """Germany: Identifikationsnummer; of its first ten digits one comes twice, or three times."""
    given = digits_of(text)
    counts = sorted((given[:10].count(one) for one in set(given[:10])), reverse=True)
    if given[0] == "0" or counts[0] not in (2, 3) or counts[1:] != [1] * len(counts[1:]):
        return False
    product = 10
    for one in given[:10]:
        total = (int(one) + product) % 10 or 10
        product = total * 2 % 11
    return int(given[10]) == (11 - product) % 10


def is_es_number(text: str) -> bool:
    """Spain: NIF (DNI) and NIE; the letter follows from the number."""
    given = digits_of(text)
    number = given[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return given[-1] == _CONTROL[int(number) % 23]


def is_fiscal_code(text: str) -> bool:
    """Italy: codice fiscale; letters may stand for digits where two people share one."""
    given = digits_of(text)
    total = sum(_ODD_IT[one] for one in given[:15:2])
    total += sum(int(one) if one.isdigit() else ord(one) - ord("A") for one in given[1:15:2])
    return chr(ord("A") + total % 26) == given[15]


def is_pesel(text: str) -> bool:
    """Poland: PESEL; the century is in the month."""
    given = digits_of(text)
    check = -_weighted(given, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10
    month, century = int(given[2:4]) % 20, (1900, 2000, 2100, 2200, 1800)[int(given[2:4]) // 20]
    return check == int(given[10]) and _is_date(century + int(given[:2]), month, int(given[4:6]))


def is_nino(text: str) -> bool:
    """United Kingdom: National Insurance number."""
    return digits_of(text)[:2] not in _NOT_A_NINO


NATIONAL = (
    PatternFinder(
        "FR_NIR",
        _whole(
            rf"[12378]{_GAP}{_grouped(2, 2)}{_GAP}(?:[0-9]{{2}}|2[ABab]){_GAP}{_grouped(3, 3, 2)}"
        ),
        is_nir,
        score=1.0,
    ),
    PatternFinder(
        "NL_BSN",
        _whole(rf"{_grouped(4, 2, 3)}|{_grouped(3, 3, 3)}|[0-9]{{8}}"),
        is_bsn,
        Cues(("bsn", "burgerservicenummer", "burger service", "sofi", "citizen service")),
    ),
    PatternFinder("BE_NN", _whole(_grouped(2, 2, 2, 3, 2)), is_nn, score=0.8),
    PatternFinder("CH_AHV", _whole(rf"756{_GAP}{_grouped(4, 4, 2)}"), is_ahv, score=1.0),
    PatternFinder(
        "AT_SVNR",
        _whole(_grouped(4, 6)),
        is_svnr,
        Cues(("svnr", "sv-nr", "sv-nummer", "sozialversicherung", "versicherungsnummer", "social")),
    ),
    PatternFinder("BR_CPF", _whole(_grouped(3, 3, 3, 2)), is_cpf, score=0.8),
    PatternFinder(
        "PT_NIF",
        _whole(_grouped(3, 3, 3)),
        is_pt_nif,
        Cues(("nif", "contribuinte", "identificação fiscal", "tax number")),
    ),
    PatternFinder("DE_TAX_ID", _whole(_grouped(2, 3, 3, 3)), is_de_tax_id, score=1.0),
    PatternFinder(
        "ES_NIF",
        _whole(rf"[0-9]{{2}}{_GAP}[0-9]{{3}}{_GAP}[0-9]{{3}}{_GAP}[A-Za-z]"),
        is_es_number,
        score=0.95,
    ),
    PatternFinder(
        "ES_NIE", _whole(rf"[XYZxyz]{_GAP}[0-9]{{7}}{_GAP}[A-Za-z]"), is_es_number, score=1.0
    ),
    PatternFinder(
        "IT_FISCAL_CODE",
        _whole(
            rf"[A-Z]{{3}} ?[A-Z]{{3}} ?[0-9L-NP-V]{{2}}[{_MONTHS_IT}][0-9L-NP-V]{{2}} ?"
            r"[A-Z][0-9L-NP-V]{3} ?[A-Z]",
            re.IGNORECASE,
        ),
        is_fiscal_code,
        score=1.0,
    ),
    PatternFinder("PL_PESEL", _whole(r"[0-9]{11}"), is_pesel, score=0.95),
    PatternFinder(
        "UK_NINO",
        _whole(
            r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
            re.IGNORECASE,
        ),
        is_nino,
        score=0.9,
    ),
)
