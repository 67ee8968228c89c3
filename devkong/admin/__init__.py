"""Kong's Admin API, as far as a laptop and tests need it: services, routes, consumers, plugins."""
