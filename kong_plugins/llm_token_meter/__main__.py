"""`python -m kong_plugins.llm_token_meter`: the plugin server that Kong starts."""

from kong_plugins._runtime.main import run
from kong_plugins.llm_token_meter.plugin import Plugin
from kong_plugins.llm_token_meter.schema import NAME, PRIORITY, SCHEMA, VERSION

if __name__ == "__main__":
    run(NAME, Plugin, version=VERSION, priority=PRIORITY, schema=SCHEMA)
