"""Vendors to be run against without an account: each in a module of its own, its wire texts typed from the vendor's pages.

They know no profile and share only the audio arithmetic with the rest, so that a rule that is wrong is found out.
"""

from typing import Final

from proxy.simulators.assemblyai import AssemblyAISimulator
from proxy.simulators.base import Simulator
from proxy.simulators.deepgram import DeepgramSimulator
from proxy.simulators.elsa import ElsaSimulator
from proxy.simulators.nextevi import NextEVISimulator
from proxy.simulators.spatius import SpatiusSimulator

SIMULATORS: Final[dict[str, type[Simulator]]] = {
    "assemblyai": AssemblyAISimulator,
    "deepgram": DeepgramSimulator,
    "elsa": ElsaSimulator,
    "nextevi": NextEVISimulator,
    "spatius": SpatiusSimulator,
}
"""Vendor: its simulator. `SIMULATORS[vendor].FAULTS` lists what can be asked of it: code and one line about it."""

FAULTS: Final[dict[str, dict[str, str]]] = {vendor: dict(simulator.FAULTS) for vendor, simulator in SIMULATORS.items()}

__all__ = [
    "FAULTS",
    "SIMULATORS",
    "AssemblyAISimulator",
    "DeepgramSimulator",
    "ElsaSimulator",
    "NextEVISimulator",
    "Simulator",
    "SpatiusSimulator",
]
