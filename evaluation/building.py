"""What a build costs beside the encoder's own work: ``python -m evaluation building [--rounds N] [--policies FOLDER]``.

The encoder alone and the build of the same policies take turns in one process, so that the ratio holds on a shared
machine too. A build is killed at half in a process of its own and gone on with in another.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.datatypes import Policy
from corpus.load import default_policies_folder, load_policies
from corpus.parser import parse_policy
from index.encoder import Encoded, Encoder, Progress, load_encoder
from index.manifest import read_manifest
from index.store import build_index
from index.units import clause_units, embedding_texts


@dataclass(frozen=True)
class Taken:
    """What a run took: seconds of the clock, and of the processor over all threads of this process."""

    wall: float
    processor: float


@dataclass(frozen=True)
class NotingEncoder:
    """An encoder that notes the texts of every call in the file ``calls``, and kills its process at ``killed_at``."""

    encoder: Encoder
    calls: Path
    killed_at: int | None = None

    @property
    def dimension(self) -> int:
        """See :class:`~index.encoder.Encoder`."""
        return self.encoder.dimension

    @property
    def token_dimension(self) -> int:
        """See :class:`~index.encoder.Encoder`."""
        return self.encoder.token_dimension

    @property
    def fingerprint(self) -> str:
        """See :class:`~index.encoder.Encoder`."""
        return self.encoder.fingerprint

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Return the vectors of questions, which are not noted."""
        return self.encoder.encode_queries(texts)

    def encode_passages(self, texts: Sequence[str], *, progress: Progress | None = None) -> Encoded:
        """Return the vectors of passages, or die where it is to, with the texts encoded and not handed back."""
        encoded = self.encoder.encode_passages(texts, progress=progress)
        with self.calls.open("a", encoding="utf-8") as file:
            file.write(json.dumps(list(texts)) + "\n")
        if self.killed_at is not None and sum(map(len, read_calls(self.calls))) >= self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return encoded


def read_calls(calls: Path) -> list[list[str]]:
    """Return the texts of every call that a :class:`NotingEncoder` noted."""
    return [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()]


def read_texts(policies: Sequence[Policy]) -> list[str]:
    """Return the text of every unit of ``policies``, longest first."""
    outlines = [(policy, parse_policy(policy).clauses) for policy in policies]
    texts = [text for policy, clauses in outlines for text in embedding_texts(policy, clauses, clause_units(clauses))]
    return sorted(texts, key=len, reverse=True)


def measure(run: Callable[[], object]) -> Taken:
    """Run something and say what it took."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return Taken(time.perf_counter() - wall, time.process_time() - processor)


def build_and_die(folders: Sequence[Path], out: Path, load: Callable[[], Encoder], calls: Path, killed_at: int) -> None:
    """Build the policies of ``folders`` at ``out`` and be killed when ``killed_at`` texts have been encoded."""
    build_index(load_policies(folders), out, NotingEncoder(load(), calls, killed_at))


def segment_files(out: Path) -> dict[str, bytes]:
    """Return what the files of the current segments of an index hold, by their path."""
    names = [version.segment for version in read_manifest(out).current]
    files = [path for name in names for path in (out / "segments" / name).rglob("*") if path.is_file()]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def measure_throughput(policies: Sequence[Policy], encoder: Encoder, rounds: int, out: Path) -> Iterator[str]:
    """Yield rows for the encoder alone, the build, and the build with nothing to do; leave an index at ``out``."""
    texts = read_texts(policies)
    folders = (out.with_name(f"{out.name}-{number}") for number in range(rounds))
    first = measure(lambda: build_index(policies, out, encoder))  # loads the dictionary of the word splitter
    raw: list[Taken] = []
    build: list[Taken] = []
    for folder in folders:
        raw.append(measure(lambda: encoder.encode_passages(texts)))
        build.append(measure(lambda folder=folder: build_index(policies, folder, encoder)))  # type: ignore[misc]
    again = [measure(lambda: build_index(policies, out, encoder)) for _ in range(rounds)]
    for clock in ("wall", "processor"):
        alone, whole, nothing = ([getattr(one, clock) for one in taken] for taken in (raw, build, again))
        pairs = np.array(alone) / np.array(whole)
        yield f"{clock}: the encoder, {len(texts)} texts, one call    {np.median(alone):8.2f} s"
        yield f"{clock}: the build of {len(policies)} policies           {np.median(whole):8.2f} s   " + (
            f"{np.median(pairs):6.3f} of the encoder's throughput ({pairs.min():.3f} to {pairs.max():.3f})"
        )
        yield f"{clock}: the first build of a process    {getattr(first, clock):8.2f} s"
        yield f"{clock}: the build with nothing to do    {np.median(nothing):8.3f} s   " + (
            f"{np.median(nothing) / np.median(whole):6.4f} of the build"
        )


def measure_resumption(folders: Sequence[Path], load: Callable[[], Encoder], whole: Path, out: Path) -> Iterator[str]:
    """Yield what a build at ``out`` that was killed at half left to do, compared with the index at ``whole``."""
    policies = load_policies(folders)
    total = len(read_texts(policies))
    before, after = out.with_name(f"{out.name}-before"), out.with_name(f"{out.name}-after")
    arguments = (folders, out, load, before, total // 2)
    child = multiprocessing.get_context("spawn").Process(target=build_and_die, args=arguments)
    child.start()
    child.join()
    if child.exitcode != -signal.SIGKILL:
        raise RuntimeError(f"the build was to be killed and ended with exit code {child.exitcode}")
    build_index(policies, out, NotingEncoder(load(), after))
    *finished, in_flight = read_calls(before)
    known = {text for texts in finished for text in texts}
    encoded = [text for texts in read_calls(after) for text in texts]
    yield f"killed at half: recorded {len(known)}, in the call that was killed {len(in_flight)}, of {total}"
    yield f"encoded by the build after it {len(encoded)}   {len(encoded) / total:6.3f} of all"
    yield f"recorded and encoded again {len(known & set(encoded))}"
    yield f"segments as of a build that was not killed: {segment_files(out) == segment_files(whole)}"


def main(arguments: Sequence[str]) -> int:
    """Print one row a figure, with what it is compared to."""
    parser = argparse.ArgumentParser(prog="python -m evaluation building", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--policies", type=Path, action="append", help="a folder of policies (the shipped ones)")
    options = parser.parse_args(arguments)
    folders = options.policies or [default_policies_folder()]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    out = sys.stdout
    out.write(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {commit.stdout}")
    encoder = load_encoder()
    encoder.encode_passages(["热身"])
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "whole"
        for line in measure_throughput(load_policies(folders), encoder, options.rounds, whole):
            out.write(f"{line}\n")
        for line in measure_resumption(folders, load_encoder, whole, Path(temporary) / "killed"):
            out.write(f"{line}\n")
    return 0
