"""Prometheus: what is counted, where things stand, and the page that is scraped."""

from policy_service.adapters.metrics.counting import Counting
from policy_service.adapters.metrics.labels import CatalogueNames
from policy_service.adapters.metrics.page import MetricsPage, shared_folder
from policy_service.adapters.metrics.screening import CountedFindings, TimedScreener
from policy_service.adapters.metrics.standing import OwnGauges, Standing
from policy_service.adapters.metrics.unfailing import Unfailing

__all__ = [
    "CatalogueNames",
    "CountedFindings",
    "Counting",
    "MetricsPage",
    "OwnGauges",
    "Standing",
    "TimedScreener",
    "Unfailing",
    "shared_folder",
]
