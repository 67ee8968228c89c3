"""JSON schemas that OpenAI holds its models to.

Source:
    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    (checked 2026-11-20)
"""


def is_closed(schema: object) -> bool:
    """Whether OpenAI holds its models to a schema: closed objects without optional members."""
    if isinstance(schema, list):
        return all(map(is_closed, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        names = schema.get("properties")
        wanted = schema.get("required")
        if (
            schema.get("additionalProperties") is not False
            or not isinstance(names, dict)
            or not isinstance(wanted, list)
            or set(names) - {name for name in wanted if isinstance(name, str)}
        ):
            return False
    return all(map(is_closed, schema.values()))
