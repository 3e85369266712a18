"""The examples of the API's description, as the real pipeline gives them; ``python -m web.examples`` renews them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from web.openapi import EXAMPLES
from web.schema import clause_payload, policy_payload

if TYPE_CHECKING:
    from retrieval import Assistant

QUESTION = "津心办怎么注销账号"
APP = "津心办"
ROWS = ("津心办", "昶联")
SHOWN_CHARACTERS = 120  # of a policy's text; the examples are read, and a whole policy is 15,000 characters


def produce(assistant: Assistant) -> dict[str, Any]:
    """Return request and response of every route, by the route's name."""
    answer = assistant.ask(QUESTION, top_k=1).to_dict()
    clause_id = answer["citations"][0]["clause_id"]
    policy = policy_payload(assistant, APP)
    cut = {"text": f"{policy['text'][:SHOWN_CHARACTERS]}…", "clauses": policy["clauses"][:1]}
    return {
        "ask": {"request": {"question": QUESTION, "top_k": 1}, "response": answer},
        "search": {
            "request": {"query": "注销账号", "app": APP, "top_k": 1},
            "response": [passage.to_dict() for passage in assistant.search("注销账号", app=APP, top_k=1)],
        },
        "compare": {
            "request": {"question": "怎么注销账号", "apps": list(ROWS)},
            "response": [row.to_dict() for row in assistant.compare("怎么注销账号", apps=ROWS)],
        },
        "apps": {"response": list(assistant.apps())},
        "read_policy": {"parameter": APP, "response": policy | cut},
        "profile": {"parameter": APP, "response": profile_example(assistant)},
        "read_clause": {"parameter": clause_id, "response": clause_payload(assistant, clause_id)},
        "healthz": {"response": {"status": "ok"}},
        "readyz": {"response": {"status": "ready", "apps": len(assistant.apps())}},
    }


def profile_example(assistant: Assistant) -> dict[str, Any]:
    """Return the profile of one app with the first row of each list, which is long."""
    profile = assistant.profile(APP).to_dict()
    return profile | {"cells": [cell | {"rows": cell["rows"][:1]} for cell in profile["cells"]]}


def main() -> None:
    """Write the examples of the default index."""
    from retrieval import Assistant

    text = json.dumps(produce(Assistant.open()), ensure_ascii=False, indent=1)
    EXAMPLES.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
