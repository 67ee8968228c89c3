"""The pattern recognisers of Microsoft Presidio that go by check digits or a strict form.

Each is asked by itself, past presidio's `AnalyzerEngine`: that wants a language model, and reads
cues from its lemmas. Here a cue is a word that stands near, in any language. Importing presidio
brings spaCy along (2 s, 100 MB), which is one reason why all this has a process of its own. No
model is loaded, and nothing is downloaded.

Not used: its recognisers of mail addresses (asks the internet for the list of public suffixes, and
takes quadratic time on long words), of IBANs (fewer countries), of cards (takes parts of other
numbers) and of telephone numbers (searches the text once for each region); ours stand in
`llm_core.screening.finders` and `phones`. Not used either are those whose forms say nothing:
postcodes, licence plates, bare account numbers.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from presidio_analyzer import predefined_recognizers

from llm_core.screening.finders.base import Cues
from llm_core.screening.redact import Finding

SURE = 0.5
"""A pattern of presidio with this score, or one whose check digits hold, needs no cue."""

_ALWAYS_CUED: Mapping[str, tuple[str, ...]] = {
    "NhsRecognizer": ("nhs", "national health"),
    "AuTfnRecognizer": ("tfn", "tax file"),
    "AuMedicareRecognizer": ("medicare",),
    "CaSinRecognizer": ("sin", "social insurance", "assurance sociale"),
    "InAadhaarRecognizer": ("aadhaar", "aadhar", "uidai"),
    "TrNationalIdRecognizer": ("tc kimlik", "kimlik", "tckn"),
    "ThTninRecognizer": ("thai", "national id", "บัตรประชาชน"),
    "ZaIdNumberRecognizer": ("south african", "rsa id", "id number", "identity number"),
    "DeIdCardRecognizer": ("ausweis", "personalausweis", "id card"),
    "DePassportRecognizer": ("reisepass", "pass-nr", "passnummer", "passport"),
    "DeHealthInsuranceRecognizer": ("kvnr", "krankenversicher", "versichertennummer", "health"),
    "UsPassportRecognizer": ("passport",),
    "UsItinRecognizer": ("itin", "individual taxpayer"),
    "UsMbiRecognizer": ("mbi", "medicare", "beneficiary"),
    "FiPersonalIdentityCodeRecognizer": ("henkilötunnus", "hetu", "personal identity code"),
    "SePersonnummerRecognizer": ("personnummer", "personal identity number", "pnr"),
    "SgFinRecognizer": ("nric", "fin", "singapore"),
}
"""They have no check digit or one, so that any number of their length may be one."""

_BY_THEMSELVES = (
    "CryptoRecognizer",
    "IpRecognizer",
    "MacAddressRecognizer",
    "UsSsnRecognizer",
    "DeSocialSecurityRecognizer",
    "KrRrnRecognizer",
    "UkDrivingLicenceRecognizer",
)
_SSN_CUES = ("ssn", "social security", "sozialversicherung", "seguridad social")


class PresidioFinder:
    """One of presidio's recognisers; implements `Finder`.

    Args:
        recogniser: Made.
        cues: Words that make a weak finding one.
        is_always_cued: Only with such a word is anything a finding.
    """

    def __init__(self, recogniser: Any, cues: tuple[str, ...], *, is_always_cued: bool) -> None:  # noqa: ANN401 - untyped
        """Take the recogniser."""
        self.kind: str = recogniser.supported_entities[0]
        self._recogniser = recogniser
        self._cues = Cues(cues) if cues else None
        self._is_always_cued = is_always_cued

    def find(self, text: str) -> Iterator[Finding]:
        """All of it in `text`."""
        for one in self._recogniser.analyze(text, [self.kind], None):
            is_cued = self._cues is not None and self._cues.are_near(text, one.start, one.end)
            if is_cued or (one.score >= SURE and not self._is_always_cued):
                yield Finding(one.start, one.end, self.kind, one.score)


def presidio_finders() -> tuple[PresidioFinder, ...]:
    """Those that are used."""
    cued = [(name, cues, True) for name, cues in _ALWAYS_CUED.items()]
    sure = [(name, _SSN_CUES if "Ssn" in name else (), False) for name in _BY_THEMSELVES]
    return tuple(
        PresidioFinder(getattr(predefined_recognizers, name)(), cues, is_always_cued=is_cued)
        for name, cues, is_cued in (*cued, *sure)
    )
