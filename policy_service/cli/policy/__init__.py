"""`gatehouse policy`: write, test, ship, and look back."""

import typer

from policy_service.cli.policy import asking, building, keeping, replaying, shadowing

app = typer.Typer(no_args_is_help=True, help="The policy: write, test, ship, and look back.")
app.command("init")(building.init)
app.command("keys")(building.keys)
app.command("bundle")(building.bundle)
app.command("test")(building.run_tests)
app.command("schema")(building.schema)
app.command("eval")(asking.evaluate)
app.command("upload")(keeping.upload)
app.command("activate")(keeping.activate)
app.command("rollback")(keeping.rollback)
app.command("list")(keeping.list_bundles)
app.command("show")(keeping.show)
app.command("replay")(replaying.replay)
app.add_typer(shadowing.app, name="shadow")
