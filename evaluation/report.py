"""What the runs brought, as figures with intervals: one JSON-ready report and the aligned tables of it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, median
from typing import Any

import numpy as np

from evaluation import metrics
from evaluation.run import Outcome, Resolution, Verdict

LONG_CLAUSE_SENTENCES = 3
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
Report = dict[str, Any]
Values = Callable[[Outcome], Iterable[float]]


def _answerable(value: Callable[[Outcome], float]) -> Values:
    return lambda o: [value(o)] if o.question.answerable else []


def _answered(value: Callable[[Outcome], float]) -> Values:
    return lambda o: [value(o)] if o.question.answerable and o.answered else []


def _gold_cited(value: Callable[[Outcome], float], *, sentences: int = 0) -> Values:
    return lambda o: [value(o)] if o.gold_citation_rank == 1 and o.clause_sentences >= sentences else []


# Each measure gives the values that one question adds; the figure is the mean over all values.
MEASURES: Mapping[str, Values] = {
    "search hit@1": _answerable(lambda o: metrics.recall_at_k(o.rank, 1)),
    "search hit@3": _answerable(lambda o: metrics.recall_at_k(o.rank, 3)),
    "search hit@5": _answerable(lambda o: metrics.recall_at_k(o.rank, 5)),
    "search hit@10": _answerable(lambda o: metrics.recall_at_k(o.rank, 10)),
    "search MRR": _answerable(lambda o: metrics.reciprocal_rank(o.rank)),
    "search right within 400 characters": _answerable(lambda o: float(o.right_within_budget)),
    "first stage hit@1": _answerable(lambda o: metrics.recall_at_k(o.first_stage_rank, 1)),
    "first stage hit@3": _answerable(lambda o: metrics.recall_at_k(o.first_stage_rank, 3)),
    "first stage hit@10": _answerable(lambda o: metrics.recall_at_k(o.first_stage_rank, 10)),
    "ask gold clause first": _answerable(lambda o: metrics.recall_at_k(o.gold_citation_rank, 1)),
    "ask gold clause among three": _answerable(lambda o: metrics.recall_at_k(o.gold_citation_rank, 3)),
    "ask gold clause first, of the answered": _answered(lambda o: metrics.recall_at_k(o.gold_citation_rank, 1)),
    "quote F1, of the answered": _answered(lambda o: o.quote_f1),
    "quote F1, gold clause first": _gold_cited(lambda o: o.quote_f1),
    "quote F1, gold clause of 3+ sentences": _gold_cited(lambda o: o.quote_f1, sentences=LONG_CLAUSE_SENTENCES),
    "gold fact inside the quotes": lambda o: [float(o.fact_in_quotes)] if o.question.facts and o.answered else [],
    "facts' precision": lambda o: map(float, o.facts_right) if o.question.answerable else [],
    "answered share (answerable)": _answerable(lambda o: float(o.answered)),
    "false answers (unanswerable)": lambda o: [] if o.question.answerable else [float(o.answered)],
    "wrong-app citations": lambda o: [float(o.wrong_app)],
}
GROUP_COLUMNS = {
    "hit@1": "search hit@1",
    "hit@3": "search hit@3",
    "400 chars": "search right within 400 characters",
    "ask first": "ask gold clause first",
    "quote F1": "quote F1, of the answered",
    "answered": "answered share (answerable)",
    "false": "false answers (unanswerable)",
}


def report_questions(outcomes: Sequence[Outcome]) -> Report:
    """Return the figures over all questions and by language, style and app."""
    groups: dict[str, dict[str, Report]] = {}
    keys: dict[str, Callable[[Outcome], str]] = {
        "language": lambda o: o.question.lang,
        "style": lambda o: o.question.style,
        "app": lambda o: o.question.app,
    }
    for name, key in keys.items():
        members: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            members.setdefault(key(outcome), []).append(outcome)
        groups[name] = {value: _figures(members[value]) for value in sorted(members)}
    return {"all": _figures(outcomes), "by": groups, **_decisions(outcomes), "quote_length": _quote_lengths(outcomes)}


def report_resolutions(resolutions: Sequence[Resolution]) -> Report:
    """Return how often the named app was resolved and how often another one was cited."""
    return {
        "questions": len(resolutions),
        "resolved": _figure([float(r.resolved) for r in resolutions]),
        "wrong_app_citations": _figure([float(r.wrong_citation) for r in resolutions]),
        "statuses": dict(Counter(r.status for r in resolutions)),
        "unresolved": [
            {"id": r.question.id, "question": r.question.question, "status": r.status, "app": r.app}
            for r in resolutions
            if not r.resolved
        ],
    }


def report_situations(verdicts: Sequence[Verdict], *, name_failures: bool) -> Report:
    """Return how many situations came out right, by kind and language.

    :param name_failures: list the failed ones; off for the set that nobody may see.
    """

    def shares(key: Callable[[Verdict], str]) -> dict[str, Report]:
        values = sorted({key(v) for v in verdicts})
        return {value: _figure([float(v.right) for v in verdicts if key(v) == value]) for value in values}

    report: Report = {
        "right": _figure([float(v.right) for v in verdicts]),
        "status_right": _figure([float(v.status_ok) for v in verdicts]),
        "by": {"kind": shares(lambda v: v.situation.kind), "language": shares(lambda v: v.situation.lang)},
    }
    if name_failures:
        report["failed"] = [
            {
                "id": v.situation.id,
                "kind": v.situation.kind,
                "question": v.situation.question,
                "expected": [v.situation.expected_status, *v.situation.expected_app],
                "came": [v.status, *v.apps],
                "text": v.text_ok,
                "citations": v.citations_ok,
            }
            for v in verdicts
            if not v.right
        ]
    return report


def report_times(taken: Mapping[str, Sequence[float]]) -> Report:
    """Return the 50th and 95th percentile of each stage in milliseconds."""
    return {
        stage: {"p50": float(np.percentile(ms, 50)), "p95": float(np.percentile(ms, 95)), "n": len(ms)}
        for stage, ms in taken.items()
        if ms
    }


def find_worst(outcomes: Sequence[Outcome], count: int) -> list[Report]:
    """Return the worst outcomes, wrong answers before wrong declines, each by how sure the assistant was of itself."""

    def badness(outcome: Outcome) -> float:
        if outcome.answered:
            return 0.0 if outcome.gold_citation_rank == 1 else 1 + outcome.confidence
        return 1 - outcome.confidence if outcome.question.answerable else 0.0

    wrong = sorted((o for o in outcomes if badness(o) > 0), key=lambda o: (-badness(o), o.question.id))
    return [
        {
            "id": o.question.id,
            "question": o.question.question,
            "status": o.status,
            "confidence": o.confidence,
            "search_rank": o.rank,
            "cited": o.quote,
            "right": o.gold_quote or None,
        }
        for o in wrong[:count]
    ]


def render(report: Report) -> str:
    """Return ``report`` as aligned tables for a terminal."""
    parts = [f"index: {report['index']}"]
    if "questions" in report:
        parts += _render_questions(report["questions"])
    if "apps135" in report:
        parts.append(_render_resolutions(report["apps135"]))
    parts += [_render_situations(name, report["situations"][name]) for name in report.get("situations", ())]
    if "milliseconds" in report:
        rows = [
            [stage, f"{ms['p50']:.1f}", f"{ms['p95']:.1f}", str(ms["n"])]
            for stage, ms in report["milliseconds"].items()
        ]
        parts.append(_table(["milliseconds", "p50", "p95", "n"], rows))
    if report.get("worst"):
        parts.append("\n\n".join(_render_worst(row) for row in report["worst"]))
    return "\n\n".join(parts) + "\n"


def _figures(outcomes: Sequence[Outcome]) -> Report:
    figures = {name: _figure([value for o in outcomes for value in values(o)]) for name, values in MEASURES.items()}
    return {"questions": len(outcomes), "figures": {name: f for name, f in figures.items() if f["n"]}}


def _figure(values: Sequence[float]) -> Report:
    low, high = metrics.bootstrap_interval(values)
    return (
        {"value": mean(values) if values else None, "low": low, "high": high, "n": len(values)} if values else {"n": 0}
    )


def _decisions(outcomes: Sequence[Outcome]) -> Report:
    yes = [o.confidence for o in outcomes if o.question.answerable]
    no = [o.confidence for o in outcomes if not o.question.answerable]
    confidences = [o.confidence for o in outcomes]
    right = [o.question.answerable and o.best_is_gold for o in outcomes]
    report: Report = {
        "statuses": {
            "answerable": dict(Counter(o.status for o in outcomes if o.question.answerable)),
            "unanswerable": dict(Counter(o.status for o in outcomes if not o.question.answerable)),
        },
        "calibration_error": metrics.expected_calibration_error(confidences, right),
        "reliability": [
            {"questions": count, "confidence": confidence, "right": share}
            for count, confidence, share in metrics.reliability_curve(confidences, right)
        ],
    }
    if yes and no:
        low, high = metrics.auroc_interval(yes, no)
        report["auroc"] = {"value": metrics.auroc(yes, no), "low": low, "high": high, "n": len(yes) + len(no)}
        report["curve"] = [
            {"threshold": threshold, "answered": answered, "false_answers": false}
            for threshold, answered, false in metrics.answering_curve(yes, no, THRESHOLDS)
        ]
    return report


def _quote_lengths(outcomes: Sequence[Outcome]) -> Report:
    pairs = [(len(o.quote), len(o.gold_quote)) for o in outcomes if o.quote is not None and o.gold_quote]
    return {"median": median(q for q, _ in pairs), "median_gold": median(g for _, g in pairs)} if pairs else {}


def _render_questions(report: Report) -> list[str]:
    figures = dict(report["all"]["figures"])
    if "auroc" in report:
        figures["AUROC of confidence"] = report["auroc"]
    rows = [[name, *_cells(figure)] for name, figure in figures.items()]
    parts = [_table([f"{report['all']['questions']} questions", "value", "95 % interval", "n"], rows)]
    lengths = report["quote_length"]
    if lengths:
        parts.append(f"quote: median {lengths['median']:g} characters, gold {lengths['median_gold']:g}")
    parts.append(f"expected calibration error: {report['calibration_error']:.3f}\nstatuses: {report['statuses']}")
    for name, groups in report["by"].items():
        rows = [
            [value, str(group["questions"]), *(_short(group["figures"].get(m)) for m in GROUP_COLUMNS.values())]
            for value, group in groups.items()
        ]
        parts.append(_table([f"by {name}", "n", *GROUP_COLUMNS], rows))
    reliability = [[f"{p['confidence']:.2f}", f"{p['right']:.2f}", str(p["questions"])] for p in report["reliability"]]
    parts.append(_table(["confidence", "best clause right", "n"], reliability))
    if "curve" in report:
        curve = [
            [f"{p['threshold']:.2f}", f"{p['answered']:.2f}", f"{p['false_answers']:.2f}"] for p in report["curve"]
        ]
        parts.append(_table(["answer from", "answered", "false answers"], curve))
    return parts


def _render_resolutions(report: Report) -> str:
    rows = [
        [name, *_cells(report[key])]
        for name, key in (("app resolved", "resolved"), ("wrong-app citations", "wrong_app_citations"))
    ]
    lines = [f"  {r['id']}: {r['question']} -> {r['status']} {r['app'] or ''}" for r in report["unresolved"]]
    return "\n".join([_table(["app named, all apps indexed", "value", "95 % interval", "n"], rows), *lines])


def _render_situations(name: str, report: Report) -> str:
    figures = {"right in all": report["right"], "status right": report["status_right"]}
    figures |= {f"  {value}": figure for group in report["by"].values() for value, figure in group.items()}
    lines = [
        f"  {f['id']} {f['kind']}: {f['question']!r} expected {' '.join(f['expected'])}, came {' '.join(f['came'])}"
        + ("" if f["text"] else "; text missing")
        + ("" if f["citations"] else "; citations of another app or of a decline")
        for f in report.get("failed", ())
    ]
    table = _table(
        [f"situations ({name})", "value", "95 % interval", "n"], [[n, *_cells(f)] for n, f in figures.items()]
    )
    return "\n".join([table, *lines])


def _render_worst(row: Report) -> str:
    return (
        f"{row['id']}: {row['question']}\n  {row['status']}, confidence {row['confidence']:.2f}, found at rank"
        f" {row['search_rank'] or '-'}\n  cited: {row['cited'] or '-'}\n  right: {row['right'] or '(not answerable)'}"
    )


def _cells(figure: Report) -> list[str]:
    if not figure["n"]:
        return ["-", "-", "0"]
    return [f"{figure['value']:.3f}", f"{figure['low']:.3f}–{figure['high']:.3f}", str(figure["n"])]


def _short(figure: Report | None) -> str:
    return f"{figure['value']:.2f} ({figure['low']:.2f}–{figure['high']:.2f})" if figure else "-"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(header), *map(list, rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            _pad(cell, width, left=column == 0) for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _pad(cell: str, width: int, *, left: bool) -> str:
    space = " " * (width - _width(cell))
    return cell + space if left else space + cell


def _width(text: str) -> int:
    """Return how many columns a terminal gives ``text``: two for a wide character."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
