"""How fast a chain of a million events is verified, and what a note of a decision costs a call.

    python -m tests.load.audit_chain [--events 1000000] [--notes 20000]

The export is made up in the form that `gatehouse audit export` writes: decisions of one
organisation, a checkpoint after each thousand. Verifying reads it from a file, checks every hash
and every signature, in one process.
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from llm_core.audit.event import GENESIS, Checkpoint, Head, Header, NewEvent, Span, linked, rfc3339
from llm_core.audit.verify import Verifier, verify_lines
from llm_core.policy.decision import Decision, DecisionRequest, Obligations
from llm_core.policy.input import Candidate, build_input
from policy_service.adapters.ed25519 import Ed25519PublicKeys, Ed25519Signer, new_key_pair
from policy_service.adapters.memory_spool import MemorySpool
from policy_service.digests import Digests
from policy_service.ports.policy import PolicyResult
from policy_service.services.decision_recorder import DecisionRecorder, Heard
from tests.fakes.samples import AZURE, CALLER, OPENAI, PRICE, chat_body, chat_call
from tests.load.figures import load, machine

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
EACH = 1000


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--notes", type=int, default=20_000)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder:
        _verify(Path(folder) / "audit.jsonl", options.events)
    asyncio.run(_note(options.notes))
    print(f"At the end: {load()}")


def _verify(file: Path, count: int) -> None:
    private, public = new_key_pair()
    started_s = time.perf_counter()
    _write(file, count, Ed25519Signer(private))
    print(f"{count:,} events made in {time.perf_counter() - started_s:.1f} s", end=", ")
    print(f"{file.stat().st_size / 1e6:,.0f} MB")
    keys = Ed25519PublicKeys([public])
    verifier = Verifier(lambda one: keys.is_genuine(one.key_id, one.signed_bytes, one.signature))
    started_s = time.perf_counter()
    with file.open("rb") as lines:
        for _ in verify_lines(lines, verifier):
            pass
    found = verifier.finish()
    took_s = time.perf_counter() - started_s
    if found or verifier.chains[0].events != count:
        raise SystemExit(f"the chain does not verify: {found}")
    print(f"verified in {took_s:.1f} s, {count / took_s:,.0f} events/s")


def _write(file: Path, count: int, signer: Ed25519Signer) -> None:
    chain = "org:acme"
    head, before = Head(chain), GENESIS
    encoder = msgspec.json.Encoder()
    with file.open("wb") as out:
        out.write(encoder.encode(Header(rfc3339(NOW), {chain: Span(1, count)})) + b"\n")
        for number in range(count):
            event, head = linked(head, _event(chain, number), secrets.token_hex(16))
            out.write(encoder.encode(event) + b"\n")
            if head.seq % EACH == 0 or head.seq == count:
                sealed = Checkpoint(chain, head.seq, head.hash, event.at, before, signer.key_id)
                signature = signer.sign(sealed.signed_bytes)
                out.write(encoder.encode(msgspec.structs.replace(sealed, signature=signature)))
                out.write(b"\n")
                before = sealed.digest


def _event(chain: str, number: int) -> NewEvent:
    payload = {
        "allow": True,
        "code": "",
        "codes": [],
        "revision": "2026-11-21.1",
        "engine": "opa",
        "operation": "chat.completions",
        "asked_model": "gpt-4o-mini",
        "department": "engineering",
        "team": "search",
        "project": "ranking",
        "user": f"user{number % 5000}",
        "application": None,
        "key_id": "key_01m8jz8f51xnh42bfsfk7q32gp",
        "input_digest": f"{number:064x}",
        "result_digest": f"{number + 1:064x}",
    }
    subject = f"decision:dec_{number:026d}"
    return NewEvent(
        f"evt_{number:026d}", chain, NOW, "decision", f"user:user{number % 5000}", subject, payload
    )


async def _note(count: int) -> None:
    """What a call pays, and what is done for it afterwards."""
    memory = MemorySpool()
    recorder = DecisionRecorder(memory, None, Digests(b"k" * 32), lambda: NOW, most=2 * count)
    call = chat_call(chat_body())
    heard = Heard()
    candidates = [Candidate(one, PRICE) for one in (OPENAI, AZURE)]
    heard.document = build_input(CALLER, call, candidates, [], NOW)
    heard.engine = "opa"
    heard.result = PolicyResult(True, ("openai-mini",), (), Obligations(), "rev-7")
    request, made = DecisionRequest(CALLER, call), Decision("dec_1", "rev-7")
    taken_s = []
    for number in range(count):
        started_s = time.perf_counter()
        recorder.note(f"dec_{number}", request, heard, NOW, made=made)
        taken_s.append(time.perf_counter() - started_s)
    taken_s.sort()
    p50, p99 = taken_s[count // 2] * 1e6, taken_s[count * 99 // 100] * 1e6
    print(f"note(): p50 {p50:.2f} µs, p99 {p99:.2f} µs")
    started_s = time.perf_counter()
    await recorder.flush()
    print(f"made ready afterwards: {(time.perf_counter() - started_s) / count * 1e6:.0f} µs each")
    if len(memory) != count:
        raise SystemExit(f"{len(memory)} of {count} events came")


if __name__ == "__main__":
    main()
