"""What several pages share: their frame, their filters, their tables, their buttons."""
