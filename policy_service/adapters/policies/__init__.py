"""The life of a policy: built, signed, tried, live, shadow, replayed, explained."""
