"""What the benchmark reads and how it is told; nothing is timed here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evaluation.bench import describe_machine, measure_calls, measure_stages, measure_storage, read_memory
from evaluation.questions import Question
from index.encoder import FakeEncoder
from index.units import clause_units
from retrieval.stages import STAGES

STATUS = """Name:	python
VmPeak:	 2000000 kB
VmRSS:	  600000 kB
RssAnon:	  400000 kB
RssFile:	  199000 kB
RssShmem:	    1000 kB
Threads:	7
"""
CPUINFO = """processor	: 0
model name	: AMD EPYC 7R32
flags		: fpu avx2 avx512_bf16

processor	: 1
model name	: AMD EPYC 7R32
flags		: fpu avx2 avx512_bf16
"""
QUESTIONS = [
    Question("津心办-1", "津心办", "zh", "formal", "津心办怎么注销账号", True, (), (), True),
    Question("昶联-1", "昶联", "zh", "formal", "昶联怎么联系你们", True, (), (), True),
]


def test_memory_is_told_in_millions_of_bytes() -> None:
    assert read_memory(STATUS) == {"VmRSS": 614.4, "RssAnon": 409.6, "RssFile": 203.776}


def test_this_process_has_some() -> None:
    own = read_memory(Path("/proc/self/status").read_text())
    assert own["VmRSS"] >= own["RssAnon"] > 10


def test_a_machine_is_described_by_processor_cores_and_how_it_multiplies_bfloat16() -> None:
    assert describe_machine(CPUINFO) == "AMD EPYC 7R32, 2 cores, avx512_bf16"
    assert describe_machine(CPUINFO.replace("avx512_bf16", "amx_bf16 avx512_bf16")).endswith("amx_bf16 and avx512_bf16")
    assert describe_machine(CPUINFO.replace(" avx512_bf16", "")) == "AMD EPYC 7R32, 2 cores, no bfloat16"


def test_every_stage_has_a_row_and_the_encoders_own_pass_is_one_of_itself(assistant) -> None:
    rows = list(measure_stages(assistant, FakeEncoder(), QUESTIONS))
    assert [row.split("  ")[0] for row in rows] == [*STAGES, "the rest", "ask, whole", "encoder's own pass"]
    assert rows[-1].endswith("1.00 of the encoder's own")
    p50 = {row.split("  ")[0]: float(row.split(" ms p50")[0].split()[-1]) for row in rows}
    assert p50["ask, whole"] > p50["understand"] > 0


def test_calls_to_one_app_and_to_all_have_a_row_each(assistant) -> None:
    rows = list(measure_calls(assistant, FakeEncoder(), QUESTIONS * 4))
    count = len(assistant.apps())
    assert [row.split("  ")[0] for row in rows] == [
        "search, first stage",
        "search",
        "ask",
        "encoder",
        f"ask, no app named, {count} apps",
        f"search, no app named, {count} apps",
        f"compare, no app named, {count} apps",
    ]
    assert np.all([" ms p95 " in row for row in rows])


def test_what_an_index_holds_is_counted_under_the_names_of_the_page_on_paper(assistant, shipped_folder) -> None:
    rows = dict(row.split() for row in measure_storage(shipped_folder))
    clauses = [assistant.clauses(app) for app in assistant.apps()]
    assert int(rows["policies"].replace(",", "")) == len(clauses) == 5
    assert int(rows["clauses"].replace(",", "")) == sum(map(len, clauses))
    assert int(rows["units"].replace(",", "")) == sum(len(clause_units(own)) for own in clauses)
    texts = sum(len(assistant.policy(app).text.encode()) for app in assistant.apps())
    assert int(rows["text_bytes"].replace(",", "")) > 2 * texts  # once in the policy, once in its clauses
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    assert {name for name in rows if f"`{name}`" not in page} == {"other_bytes"}
