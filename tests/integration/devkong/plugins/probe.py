"""A plugin with `access` and `log`."""

# ruff: noqa: ANN001, ANN204 - kong_pdk ships no types

import scripted
from kong_pdk.cli import start_dedicated_server


class Plugin:
    def __init__(self, config):
        self.config = config

    def access(self, kong):
        results = scripted.run(kong, self.config["access"])
        if self.config["report_config"]:
            results = [self.config]
        if self.config["access"] or self.config["report_config"]:
            kong.service.request.set_header("x-probe", scripted.reported(results))

    def log(self, kong):
        if "log_file" not in self.config:
            return
        scripted.append(
            self.config["log_file"],
            {
                "source": kong.response.get_source(),
                "status": kong.response.get_status(),
                "headers": kong.response.get_headers(),
                "request_headers": kong.request.get_headers(),
                "shared": kong.ctx.shared.get("note"),
                "record": kong.log.serialize(),
            },
        )


if __name__ == "__main__":
    start_dedicated_server("probe", Plugin, "1.0", 1000, scripted.FIELDS)
