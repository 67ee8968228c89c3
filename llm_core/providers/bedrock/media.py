"""Images and files as Converse's blocks.

Bytes travel inside the request as base64. Converse fetches nothing from the web, and what it reads
from S3 is in reach of our credential rather than of the caller's, so both are refused.

Source:
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
    Shape from the SDK's types (botocore 1.44.5); the pages were seen in excerpts, 2026-11-20.
"""

import re
from collections.abc import Mapping
from typing import Any

from llm_core.providers.bedrock.refusals import unsupported

_Object = dict[str, Any]

_DATA_URI = re.compile(r"data:(?P<media_type>[\w.+/-]+)(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)
_IMAGE_FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
# A name may hold letters, digits, hyphens, brackets and single spaces.
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9()\[\]-]+")
_MAX_NAME_CHARACTERS = 150


def image_block(url: str, where: str) -> _Object:
    """Make an `image` block of a data URI.

    Raises:
        UnsupportedParameter: A web address, or a format that Bedrock lacks.
    """
    data_uri = _DATA_URI.match(url)
    if data_uri is None:
        raise unsupported(where, "an image must be a base64 data URI; it fetches none itself.")
    format_ = _IMAGE_FORMATS.get(data_uri["media_type"].lower())
    if format_ is None:
        raise unsupported(where, "images must be PNG, JPEG, GIF or WebP.")
    return {"image": {"format": format_, "source": {"bytes": url[data_uri.end() :]}}}


def document_block(file: Mapping[str, Any], where: str, names: dict[str, int]) -> _Object:
    """Make a `document` block of a file that came inside the request.

    Args:
        file: OpenAI's `file`.
        where: For the refusal.
        names: Those in use, and the last number behind each; no two documents of a request may have
            the same one. Takes the new one.

    Raises:
        UnsupportedParameter: A file by reference, or of a kind that Bedrock cannot read.
    """
    data = file.get("file_data")
    data_uri = _DATA_URI.match(data) if isinstance(data, str) else None
    if data_uri is None or not isinstance(data, str):
        raise unsupported(where, "a file must come in 'file_data', as a base64 data URI.")
    format_ = _DOCUMENT_FORMATS.get(data_uri["media_type"].lower())
    if format_ is None:
        known = ", ".join(_DOCUMENT_FORMATS.values())
        raise unsupported(where, f"files must be one of {known}.")
    name = _name(file.get("filename"), names)
    source = {"bytes": data[data_uri.end() :]}
    return {"document": {"format": format_, "name": name, "source": source}}


def _name(filename: object, names: dict[str, int]) -> str:
    stem = filename.rpartition(".")[0] or filename if isinstance(filename, str) else ""
    named = _NOT_IN_NAME.sub(" ", stem[:_MAX_NAME_CHARACTERS]).strip() or "document"
    unique = named
    # Goes on where the last of that name ended; from one, many of a name would be quadratic.
    number = names.get(named, 1)
    while unique in names:
        number += 1
        unique = f"{named} {number}"
    names[named] = number
    names[unique] = 1
    return unique
