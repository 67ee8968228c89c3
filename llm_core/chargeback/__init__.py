"""Who pays for what: a month's spend as lines that add up to the ledger, to the last digit."""
