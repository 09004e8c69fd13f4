"""Writes the values.schema.json of both charts: what each lets be set, and for the settings what `earwitness schema` says of them.

    python -m deploy.helm.generate

So Helm refuses a key that the process would refuse, before anything is changed in the cluster.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from proxy.core.profile import schema
from proxy.settings import Settings

HERE: Final = Path(__file__).parent
DRAFT: Final = "http://json-schema.org/draft-07/schema#"
"""The newest that Helm 3 reads."""

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 1}
ANYTHING: Final[Schema] = {"type": "object"}
SOME: Final[Schema] = {"type": "array", "items": {"type": "object"}}
MEANT: Final[Schema] = {**SOME, "minItems": 1}
"""An empty list of peers would let everybody through."""


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def library() -> Schema:
    settings = schema(Settings)
    inner = settings.pop("$defs")
    settings.pop("$schema", None)
    image = _object(repository=TEXT, tag=TEXT, digest={**TEXT, "pattern": "^(sha256:[0-9a-f]{64})?$"},
                    pullPolicy={"enum": ["Always", "IfNotPresent", "Never"]})
    return {
        "$schema": DRAFT,
        **_object(**{"global": ANYTHING}, image=image, settings=settings, env=SOME, resources=ANYTHING),
        "$defs": inner,
    }


def gateway() -> Schema:
    return {
        "$schema": DRAFT,
        **_object(**{
            "global": ANYTHING,
            "earwitness": ANYTHING,  # has a schema of its own
            "tls": _object(secretName=TEXT),
            "autoscaling": _object(enabled=FLAG, minReplicas=COUNT, maxReplicas=COUNT, sessionsPerPod=COUNT),
            "replicas": COUNT,
            "networkPolicy": _object(enabled=FLAG, clients=MEANT, prometheus=MEANT, dns=MEANT, vendors=MEANT, otlp=SOME, redis=SOME),
            "monitoring": _object(enabled=FLAG, labels=ANYTHING),
            "podAnnotations": ANYTHING, "imagePullSecrets": SOME, "priorityClassName": TEXT, "nodeSelector": ANYTHING, "tolerations": SOME,
            "affinity": ANYTHING,
        }),
    }


def written() -> dict[Path, str]:
    """Each file and what belongs into it."""
    schemas = {"earwitness": library(), "earwitness-gateway": gateway()}
    return {HERE / chart / "values.schema.json": json.dumps(of, indent=1) + "\n" for chart, of in schemas.items()}


if __name__ == "__main__":
    for file, text in written().items():
        file.write_text(text)
