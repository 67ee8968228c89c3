"""One team, and a dozen keys for one test each."""

NAMES = [f"laptop-{number}" for number in range(12)]
COMPANY = {
    "id": "acme",
    "allowed_models": ["*"],
    "departments": [
        {"id": "research", "teams": [{"id": "search", "keys": [{"name": one} for one in NAMES]}]}
    ],
}
MODELS = {
    "models": [
        {
            "alias": "mini",
            "deployments": [
                {
                    "id": "openai-mini",
                    "provider": "openai",
                    "model": "gpt-4o-mini",
                    "base_url": "http://127.0.0.1:9/v1",
                    "credential": "openai",
                    "region": "us",
                }
            ],
        }
    ]
}
