"""From rows to frames, an area in each module. Pure; money stays `Decimal`, and sums are exact.

Columns of money hold `Decimal` objects. They are added in Python, never by numpy, so that a total
is the sum of what is charged to the last digit. Shares are for bars and may be floats.
"""
