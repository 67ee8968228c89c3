"""The organisation in the database; see `store.Organisation`."""

from policy_service.adapters.sql.organisation.store import Organisation
from policy_service.ports.organisation import Holder, OrganisationError

__all__ = ["Holder", "Organisation", "OrganisationError"]
