"""What the services need from the outside world, and what must hold for each of them.

Adapters implement these; services know nothing else. Every adapter translates its own library's
exceptions into `PolicyUnavailable` (or the error a method names) at the line where they arise.
"""
