"""A compiled policy, asked by OPA's own calling convention.

The program lives in a memory of its own, in which nothing of ours can be reached, and it can call
nothing: rules that need a function which is not compiled in are refused. Every question starts on
the same heap, so that nothing of one is left for the next, and may take only so many instructions.

Source:
    https://www.openpolicyagent.org/docs/wasm (ABI 1.2 and later, looked up 2026-11-29)
"""

import hashlib
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
import wasmtime

from policy_service.adapters.wasm.rules import NotCompiled

_PAGE_BYTES = 65_536
_MOST_MEMORY_BYTES = 512 * 1024 * 1024
_MOST_INSTRUCTIONS = 300_000_000
"""A hundred times and more what our rules take over the lists of a thousand teams; 0.1 to 0.2 s."""
_ABI, _LEAST_ABI_MINOR = 1, 2
_READ_BYTES = 4096
_MODULES_KEPT = 8
_modules: dict[str, wasmtime.Module] = {}


class ProgramFailed(RuntimeError):
    """The program did not come to an answer; it is not to be asked again."""


def _engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.consume_fuel = True
    return wasmtime.Engine(config)


_ENGINE = _engine()


class Program:
    """One instance, for one question at a time. Making it blocks for up to a second.

    Args:
        content: The WebAssembly module.
        data: What `data` is to the rules, as JSON.

    Raises:
        NotCompiled: It is no module of OPA's, or needs functions that are not compiled in.
    """

    def __init__(self, content: bytes, data: bytes) -> None:
        self._store = wasmtime.Store(_ENGINE)
        self._store.set_limits(memory_size=_MOST_MEMORY_BYTES)
        self._store.set_fuel(_MOST_INSTRUCTIONS)
        try:
            self._memory, exports = self._instantiated(content)
            self._require_alone(exports)
            self._evaluate: Any = exports["opa_eval"]
            self._data = self._parsed(exports, data)
            self._heap: int = _called(exports, "opa_heap_ptr_get")(self._store)
        except (wasmtime.WasmtimeError, wasmtime.Trap, ProgramFailed, KeyError) as fault:
            raise NotCompiled(f"the compiled rules cannot be used: {fault}") from fault

    def ask(self, question: bytes) -> bytes:
        """The entrypoint's value for an input, `[{"result": ...}]`, `[]` when undefined.

        Args:
            question: The input, as JSON.

        Raises:
            ProgramFailed: It took too long, or ran out of memory.
        """
        try:
            self._store.set_fuel(_MOST_INSTRUCTIONS)
            self._make_room(self._heap + len(question))
            self._memory.write(self._store, question, self._heap)
            end = self._heap + len(question)
            found = self._evaluate(self._store, 0, 0, self._data, self._heap, len(question), end, 0)
            return self._text_at(found)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as fault:
            raise ProgramFailed(str(fault).strip().splitlines()[-1].strip()) from fault

    def _instantiated(self, content: bytes) -> tuple[wasmtime.Memory, Any]:
        module = _module(content)
        memory: wasmtime.Memory | None = None
        given: list[wasmtime.Memory | wasmtime.Func] = []
        for one in module.imports:
            if isinstance(one.type, wasmtime.MemoryType):
                # What OPA asks for is less than what its own constants take.
                pages = one.type.limits.min + -(-len(content) // _PAGE_BYTES)
                kind = wasmtime.MemoryType(wasmtime.Limits(pages, one.type.limits.max))
                memory = wasmtime.Memory(self._store, kind)
                given.append(memory)
            elif isinstance(one.type, wasmtime.FuncType):
                given.append(wasmtime.Func(self._store, one.type, _refusing(str(one.name))))
        if memory is None:
            raise NotCompiled("the compiled rules take no memory: OPA has not made them")
        return memory, wasmtime.Instance(self._store, module, given).exports(self._store)

    def _require_alone(self, exports: Any) -> None:  # noqa: ANN401 - wasmtime's own, by name
        version = tuple(
            exports[name].value(self._store)
            for name in ("opa_wasm_abi_version", "opa_wasm_abi_minor_version")
        )
        if version < (_ABI, _LEAST_ABI_MINOR) or version[0] != _ABI:
            raise NotCompiled(f"the compiled rules speak another convention, {version}")
        said = _called(exports, "opa_json_dump")(
            self._store, _called(exports, "builtins")(self._store)
        )
        needed = msgspec.json.decode(self._text_at(said), type=dict[str, int])
        if needed:
            names = ", ".join(sorted(needed))
            raise NotCompiled(f"the rules call what OPA cannot compile: {names}")

    def _parsed(self, exports: Any, data: bytes) -> int:  # noqa: ANN401 - as above
        place = _called(exports, "opa_malloc")(self._store, len(data))
        self._memory.write(self._store, data, place)
        value: int = _called(exports, "opa_json_parse")(self._store, place, len(data))
        if not value:
            raise NotCompiled("the lists cannot be read by the compiled rules")
        return value

    def _make_room(self, upto: int) -> None:
        missing = upto - self._memory.data_len(self._store)
        if missing > 0:
            self._memory.grow(self._store, -(-missing // _PAGE_BYTES))

    def _text_at(self, place: int) -> bytes:
        """What is there, up to the zero byte that ends it."""
        parts: list[bytes] = []
        size = self._memory.data_len(self._store)
        while place < size:
            part = bytes(self._memory.read(self._store, place, min(place + _READ_BYTES, size)))
            text, zero, _ = part.partition(b"\0")
            parts.append(text)
            if zero:
                return b"".join(parts)
            place += len(part)
        raise ProgramFailed("an answer without an end")


def _module(content: bytes) -> wasmtime.Module:
    """Compiled to machine code once in a process, whoever asks for it."""
    digest = hashlib.sha256(content).hexdigest()
    if (known := _modules.get(digest)) is not None:
        return known
    made = wasmtime.Module(_ENGINE, content)
    while len(_modules) >= _MODULES_KEPT:
        _modules.pop(next(iter(_modules)), None)
    _modules[digest] = made
    return made


def _called(exports: Any, name: str) -> Callable[..., Any]:  # noqa: ANN401 - as above
    function: Callable[..., Any] = exports[name]
    return function


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: object) -> NoReturn:
        raise ProgramFailed(f"the compiled rules called {name}")

    return refuse
