"""`python -m kong_plugins.llm_auth`: the plugin server that Kong starts."""

from kong_plugins._runtime.main import run
from kong_plugins.llm_auth.plugin import Plugin
from kong_plugins.llm_auth.schema import NAME, PRIORITY, SCHEMA, VERSION

if __name__ == "__main__":
    run(NAME, Plugin, version=VERSION, priority=PRIORITY, schema=SCHEMA)
