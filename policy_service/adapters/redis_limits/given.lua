-- Says that rows were given out: from now on they may be in the ledger at any moment.
--
-- KEYS   mark
change(KEYS[1])
