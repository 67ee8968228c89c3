"""Personal data and unwanted words: where they stand in a call, and what becomes of them.

Nothing here looks for anything: what was found comes in as `Finding`s, and goes back into requests
(`words`, `redact`) and answers (`answer`).
"""
