"""A whole company as one file: read, compared with the database, applied, and written back."""

from policy_service.adapters.sql.company.export import document_of, to_yaml
from policy_service.adapters.sql.company.file import Company, read_company
from policy_service.adapters.sql.company.store import CompanyStore, seed_company
from policy_service.adapters.sql.company.words import line_of

__all__ = [
    "Company",
    "CompanyStore",
    "document_of",
    "line_of",
    "read_company",
    "seed_company",
    "to_yaml",
]
