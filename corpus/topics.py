"""The eleven practice topics of CAPP-130 (Zhu et al., NeurIPS 2023) that a clause may be on; several may hold."""

from __future__ import annotations

from typing import Literal, get_args

Topic = Literal[
    "collection",
    "permissions",
    "sharing",
    "use",
    "storage",
    "security",
    "special_groups",
    "rights",
    "contact",
    "changes",
    "termination",
]

TOPICS: tuple[Topic, ...] = get_args(Topic)
"""The topics in the order of CAPP-130's ids, 0 to 10; the message ``topics.<key>`` holds a topic's name for people."""
