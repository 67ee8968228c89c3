"""The audit chain: events that each carry the hash of the one before, sealed by checkpoints.

An event's content is hashed apart from the event, with a salt: content can be erased without
breaking the chain, and what was erased cannot be guessed from its digest. No I/O, no clock, no
cryptography beyond SHA-256: signatures are made and checked by the caller.
"""
