"""Settings of the policy service that a demo is started with, beside those that it makes itself."""

from collections.abc import Collection, Iterable

from policy_service.cli.failures import fail, needs

_PREFIX = "POLICY_"
_NESTED = "__"


def more_settings(said: Iterable[str], own: Collection[str]) -> dict[str, str]:
    """What `--set` said.

    They are named one by one, and not taken from the environment: a shell that has the settings of
    another installation would lead the demo to that one's Redis or OPA.

    Args:
        said: `POLICY_AUDIT_KEY_FILE=audit-key.pem` and the like.
        own: Names that the demo sets itself.

    Raises:
        typer.Exit: One is no setting of the service, or is the demo's own.
    """
    with needs("service"):
        from policy_service.settings import Settings

    found: dict[str, str] = {}
    for one in said:
        name, equals, value = one.partition("=")
        field = name.removeprefix(_PREFIX).split(_NESTED)[0].lower()
        if not equals or not name.startswith(_PREFIX) or field not in Settings.model_fields:
            raise fail(
                f"--set {name!r}: not a setting of the policy service; write "
                "--set POLICY_<NAME>=<value> with a name of docs/settings.md"
            )
        if name in own:
            raise fail(f"--set {name}: the demo sets this itself")
        found[name] = value
    return found
