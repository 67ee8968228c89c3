"""Where the demo keeps its files, and on which ports its processes listen."""

import json
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path

from policy_service.cli.failures import fail

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """One port a process."""

    gateway: int
    policy: int
    sandbox: int
    dashboard: int

    def named(self) -> dict[str, int]:
        """By the name used in options and messages."""
        return {
            "gateway": self.gateway,
            "policy": self.policy,
            "sandbox": self.sandbox,
            "dashboard": self.dashboard,
        }

    def require_free(self) -> None:
        """End with the name of a busy port and how to choose another."""
        chosen = self.named()
        if len(set(chosen.values())) < len(chosen):
            raise fail("two of the demo's ports are the same")
        for name, port in chosen.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError:
                    raise fail(
                        f"port {port} ({name}) is in use. Choose another: "
                        f"`gatehouse demo start --{name}-port N`, or "
                        f"`make demo DEMO_ARGS='--{name}-port N'`."
                    ) from None


@dataclass(frozen=True, slots=True)
class Folder:
    """The demo's folder, `.demo` in the working directory."""

    root: Path

    @property
    def state(self) -> Path:
        """What scripts read."""
        return self.root / "demo.json"

    @property
    def database(self) -> Path:
        """The ledger."""
        return self.root / "gatehouse.db"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.root / "logs"

    @property
    def prefix(self) -> Path:
        """The gateway's prefix: sockets and journal."""
        return self.root / "kong"

    @property
    def secrets(self) -> Path:
        """Secrets and keys of this demo, kept so that a restart changes nothing."""
        return self.root / "secrets.json"

    def make(self) -> None:
        """Make what is missing; only the owner may look inside."""
        for folder in (self.root, self.logs, self.prefix):
            folder.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)

    def read_state(self) -> dict[str, object] | None:
        """What the running demo said of itself."""
        return _read(self.state)

    def write_state(self, state: dict[str, object]) -> None:
        """Say what runs where; holds keys, so only the owner may read it."""
        _write(self.state, state)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What this demo's processes share, and the keys of its company by name."""

    internal_secret: str = field(repr=False)
    ticket_secret: str = field(repr=False)
    admin_token: str = field(repr=False)
    keys: dict[str, str] = field(repr=False)

    @classmethod
    def kept(cls, folder: Folder) -> "Secrets":
        """Those of the last start, or new ones."""
        known = _read(folder.secrets)
        if known is not None and folder.database.exists():
            return cls(**known)  # type: ignore[arg-type]
        return cls(
            internal_secret=secrets.token_hex(32),
            ticket_secret=secrets.token_hex(32),
            admin_token=f"ga-{secrets.token_urlsafe(32)}",
            keys={},
        )

    def keep(self, folder: Folder) -> None:
        """Write them down for the next start."""
        _write(
            folder.secrets,
            {
                "internal_secret": self.internal_secret,
                "ticket_secret": self.ticket_secret,
                "admin_token": self.admin_token,
                "keys": self.keys,
            },
        )


def _read(path: Path) -> dict[str, object] | None:
    try:
        read: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return read


def _write(path: Path, value: dict[str, object]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
