"""The policy service's admin API as the pages ask it: one module for each area.

`client` sends, `errors` says what can go wrong, and each of the others has an area's types and the
functions that ask for them. Money is `Decimal`, exact; times carry their zone.
"""
