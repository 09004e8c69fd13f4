"""Strict YAML and environment to typed settings and vendor profiles.

Owns what an operator writes and every word about what is wrong with it. Everything is checked before anything is bound.
It must not know telemetry, the relay or any vendor by name.
"""

from proxy.settings.again import Place, compared, places
from proxy.settings.load import FILE_VARIABLE, Overrides, check, load, load_known
from proxy.settings.model import Listener, Settings
from proxy.settings.problems import ConfigError, Problem
from proxy.settings.profiles import Catalogue, load_all, load_common, load_profile, packaged
from proxy.settings.seen import look
from proxy.settings.values import Address

__all__ = [
    "Address",
    "Catalogue",
    "ConfigError",
    "FILE_VARIABLE",
    "Listener",
    "Overrides",
    "Place",
    "Problem",
    "Settings",
    "check",
    "compared",
    "load",
    "load_all",
    "load_common",
    "load_known",
    "load_profile",
    "look",
    "packaged",
    "places",
]
