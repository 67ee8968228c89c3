"""What a message holds beside text: images, sounds and PDFs, as Gemini's `inlineData`, `fileData`.

An image on the web is fetched by Google, as it is by OpenAI. Google wants its type said, which
OpenAI's format does not tell; so the address must end in a name that does. An address in Google
Cloud Storage or among Google AI's uploaded files is refused: it would be read with the gateway's
own credential, past what policy knows of who may read what.

Source:
    https://ai.google.dev/gemini-api/docs/generate-content/image-understanding
    https://ai.google.dev/gemini-api/docs/generate-content/file-input-methods
    https://ai.google.dev/gemini-api/docs/generate-content/audio
    Shape from the SDK's types (google-genai 3.4.0); the pages were seen in excerpts, 2026-11-20.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from llm_core.providers.gemini.models import Capabilities
from llm_core.providers.gemini.vendor import Vendor

_Object = dict[str, Any]

_DATA_URI = re.compile(r"data:(?P<media_type>[\w.+/-]+)(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
_TYPE_BY_ENDING = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
}
_SOUND_TYPES = {"wav": "audio/wav", "mp3": "audio/mp3"}
_OWN_FILES = "generativelanguage.googleapis.com"


def image(url: str, where: str, capabilities: Capabilities, vendor: Vendor) -> _Object:
    """The part for an image.

    Raises:
        UnsupportedParameter: It is of a kind, or at a place, that cannot be read.
    """
    data_uri = _DATA_URI.match(url)
    if data_uri is not None:
        media_type = data_uri["media_type"].lower().replace("image/jpg", "image/jpeg")
        if media_type not in _IMAGE_TYPES:
            raise vendor.unsupported(where, f"images must be one of {', '.join(_IMAGE_TYPES)}.")
        return _inline(media_type, url[data_uri.end() :])
    return _on_the_web(url, where, capabilities, vendor)


def sound(given: Mapping[str, Any], where: str, vendor: Vendor) -> _Object:
    """The part for OpenAI's `input_audio`: `{"data": base64, "format": "wav" | "mp3"}`.

    Raises:
        UnsupportedParameter: The format is another one.
    """
    media_type, data = _SOUND_TYPES.get(str(given.get("format"))), given.get("data")
    if media_type is None or not isinstance(data, str):
        raise vendor.unsupported(where, "audio must be 'wav' or 'mp3', as base64 in 'data'.")
    return _inline(media_type, data)


def document(file: Mapping[str, Any], where: str, vendor: Vendor) -> _Object:
    """The part for OpenAI's `file`.

    Raises:
        UnsupportedParameter: It is no PDF in the request itself.
    """
    data = file.get("file_data")
    data_uri = _DATA_URI.match(data) if isinstance(data, str) else None
    if (
        not isinstance(data, str)
        or data_uri is None
        or data_uri["media_type"].lower() != "application/pdf"
    ):
        raise vendor.unsupported(where, "a file must be a PDF in 'file_data', as a data URI.")
    return _inline("application/pdf", data[data_uri.end() :])


def _inline(media_type: str, data: str) -> _Object:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _on_the_web(url: str, where: str, capabilities: Capabilities, vendor: Vendor) -> _Object:
    try:
        address = urlsplit(url)
        host = (address.hostname or "").rstrip(".")
    except ValueError:
        raise vendor.unsupported(where, "the image's address is none.") from None
    if address.scheme not in ("https", "http") or host == _OWN_FILES:
        raise vendor.unsupported(where, "an image must be a web address or a base64 data URI.")
    if not capabilities.reads_addresses:
        raise vendor.unsupported(where, "this model reads images from data URIs only.")
    media_type = _TYPE_BY_ENDING.get(address.path.rpartition(".")[2].lower())
    if media_type is None:
        raise vendor.unsupported(
            where,
            "it must be told the image's type; use an address that ends in "
            f"{', '.join(f'.{ending}' for ending in _TYPE_BY_ENDING)}, or a data URI.",
        )
    return {"fileData": {"mimeType": media_type, "fileUri": url}}
