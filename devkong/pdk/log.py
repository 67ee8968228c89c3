"""`kong.log`: messages at nginx' levels, and the log record."""

import logging
from collections.abc import Callable

from devkong.context import Context
from devkong.log_record import serialize
from devkong.pdk.registry import ANYWHERE, ONLY_LOG, pdk

_log = logging.getLogger("devkong.plugin")

NOTICE = 25
"""nginx' level between info and warning, and Kong's default."""

_LEVELS = {
    "kong.log": NOTICE,
    "kong.log.debug": logging.DEBUG,
    "kong.log.inspect": logging.DEBUG,
    "kong.log.info": logging.INFO,
    "kong.log.notice": NOTICE,
    "kong.log.warn": logging.WARNING,
    "kong.log.err": logging.ERROR,
    "kong.log.crit": logging.CRITICAL,
    "kong.log.alert": logging.CRITICAL,
    "kong.log.emerg": logging.CRITICAL,
}


@pdk("kong.log.serialize", ONLY_LOG)
def _serialize(context: Context) -> str:
    return context.record if context.record is not None else serialize(context)


def _logger(level: int) -> Callable[..., None]:
    def write(context: Context, *parts: object) -> None:
        if _log.isEnabledFor(level):
            words = "".join(str(part) for part in parts)
            _log.log(level, "[%s] %s", context.plugin_name, words)

    return write


for _name, _level in _LEVELS.items():
    pdk(_name, ANYWHERE)(_logger(_level))
