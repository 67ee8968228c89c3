"""Stand-ins for OpenAI, Azure OpenAI and Anthropic that speak the vendors' wire formats.

For demos and tests; no model behind it. An answer is a pure function of the request, so the same
request gets the same answer, whole or streamed. Faults, pace and length can be asked for by header
or by a suffix of the model's name (`wishes.py`), which survives a gateway that passes the model on.
"""
