"""A plugin with `access` and `response`: it turns buffering on."""

# ruff: noqa: ANN001, ANN204 - kong_pdk ships no types

import scripted
from kong_pdk.cli import start_dedicated_server


class Plugin:
    def __init__(self, config):
        self.config = config

    def access(self, kong):
        scripted.run(kong, self.config["access"])

    def response(self, kong):
        results = scripted.run(kong, self.config["response"])
        if self.config["response"]:
            kong.response.set_header("x-late-probe", scripted.reported(results))


if __name__ == "__main__":
    start_dedicated_server("late-probe", Plugin, "1.0", 500, scripted.FIELDS)
