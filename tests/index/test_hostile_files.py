"""An index or a model that somebody made to do harm: its checksums are right, and what it says is not."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import pickle
import random
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.datatypes import Policy
from index.arrays import read_array
from index.difference import apply_difference
from index.doctor import examine_index, mend_index
from index.encoder import FakeEncoder, load_encoder
from index.errors import IndexMismatchError
from index.maintain import restore_snapshot, take_snapshot
from index.manifest import hash_files, read_manifest, write_generation
from index.nearest import ApproximateUnits
from index.store import Generation, build_index, open_generation
from index.tokens import Floats, unit_rows

ROOT = Path(__file__).parents[2]
ENCODER = FakeEncoder()
POLICIES = [
    Policy(
        "甲",
        "一、收集\n我们收集手机号码。用于注册账号。\n二、注销\n您可以在以下情形中注销:\n(1)不再使用;\n(2)手机丢失。",
    ),
    Policy("乙", "我们不会共享您的个人信息。"),
]
MOST_BYTES = 64 << 20  # that refusing may take; what the hostile files ask for is a thousand times that


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.marker),)


def test_the_payload_does_its_harm_where_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "harm")))  # else what follows would prove nothing
    assert (tmp_path / "harm").is_dir()


FORBIDDEN = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CHECKED = {"load": {"torch": ("weights_only", True), "np": ("allow_pickle", False), "numpy": ("allow_pickle", False)}}


def find_unpickling(tree: ast.AST) -> Iterator[str]:
    """Yield what in a source file could run what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {one.name}" for one in node.names if one.name.split(".")[0] in FORBIDDEN)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN:
            yield f"from {node.module}"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            said = {one.arg: getattr(one.value, "value", None) for one in node.keywords}
            if called in ("eval", "exec", "__import__", "yaml.load", "yaml.unsafe_load", "pd.read_pickle"):
                yield called
            owner, _, name = called.rpartition(".")
            wanted = CHECKED.get(name, {}).get(owner)
            if wanted and said.get(wanted[0]) is not wanted[1]:
                yield f"{called} without {wanted[0]}={wanted[1]}"
            if said.get("trust_remote_code") or (said.get("allow_pickle") and name != "save"):
                yield f"{called} with what it must not have"


def test_nothing_in_the_sources_unpickles_or_runs_what_it_reads() -> None:
    found = []
    folders = ("corpus", "index", "retrieval", "web", "evaluation", "training")
    for path in [ROOT / "app.py", *(path for folder in folders for path in (ROOT / folder).rglob("*.py"))]:
        found += [f"{path.relative_to(ROOT)}: {one}" for one in find_unpickling(ast.parse(path.read_text("utf-8")))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "torch.load(p)",
        "np.load(p)",
        "np.load(p, allow_pickle=True)",
        "eval(x)",
    ],
)
def test_what_unpickles_is_found_in_a_source(source: str) -> None:
    assert list(find_unpickling(ast.parse(source)))


# -- hostile segments, with all hashes right


def save_objects(path: Path, marker: Path) -> None:
    array = np.empty(3, object)
    array[:] = [Payload(marker)] * 3
    np.save(path, array, allow_pickle=True)


def save_header(path: Path, header: str) -> None:
    """Write an array file that holds next to nothing, whatever its header says."""
    content = header.encode().ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(content).to_bytes(2, "little") + content + b"\0" * 64)


def edit_json(path: Path, edit: Callable[[Any], Any]) -> None:
    path.write_text(json.dumps(edit(json.loads(path.read_text("utf-8")))), "utf-8")


def with_first(**changed: object) -> Callable[[Any], Any]:
    return lambda said: [{**said[0], **changed}, *said[1:]]


BOMB = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }"
DEEP = "[" * 200_000
HOSTILE: dict[str, Callable[[Path, Path], object]] = {
    "objects for vectors": lambda f, marker: save_objects(f / "vectors.npy", marker),
    "objects for tokens": lambda f, marker: save_objects(f / "tokens.npy", marker),
    "objects for token starts": lambda f, marker: save_objects(f / "token_starts.npy", marker),
    "objects for words": lambda f, marker: save_objects(f / "lexical" / "data.csc.index.npy", marker),
    "a mapped array of a petabyte": lambda f, _: save_header(f / "vectors.npy", BOMB % ("<f4", (10**12, 256))),
    "an array of a petabyte": lambda f, _: save_header(f / "token_starts.npy", BOMB % ("<i8", (10**14,))),
    "words of a petabyte": lambda f, _: save_header(f / "lexical" / "indices.csc.index.npy", BOMB % ("<i4", (10**14,))),
    "a size that overflows": lambda f, _: save_header(f / "tokens.npy", BOMB % ("|i1", (2**62, 4))),
    "a negative size": lambda f, _: save_header(f / "tokens.npy", BOMB % ("|i1", (-1, 64))),
    "code in a header": lambda f, _: save_header(f / "vectors.npy", "__import__('os').mkdir('harm')"),
    "a header of brackets": lambda f, _: save_header(f / "vectors.npy", "(" * 117),
    "columns first": lambda f, _: np.save(f / "vectors.npy", np.asfortranarray(np.load(f / "vectors.npy"))),
    "one vector more": lambda f, _: np.save(f / "vectors.npy", np.ones((99, 256), np.float32)),
    "starts beyond the tokens": lambda f, _: np.save(f / "token_starts.npy", np.array([0, 10**9], np.int64)),
    "a count of clauses in the billions": lambda f, _: edit_json(
        f / "lexical" / "params.index.json", lambda said: {**said, "num_docs": 10**12}
    ),
    "another way to score": lambda f, _: edit_json(
        f / "lexical" / "params.index.json", lambda said: {**said, "method": "bm25l"}
    ),
    "another backend": lambda f, _: edit_json(
        f / "lexical" / "params.index.json", lambda said: {**said, "backend": "numba"}
    ),
    "words in clauses that there are not": lambda f, _: np.save(
        f / "lexical" / "indices.csc.index.npy", np.load(f / "lexical" / "indices.csc.index.npy") + 10**6
    ),
    "a word's clauses twice": lambda f, _: np.save(
        f / "lexical" / "indices.csc.index.npy", np.zeros_like(np.load(f / "lexical" / "indices.csc.index.npy"))
    ),
    "weights that are no numbers": lambda f, _: np.save(
        f / "lexical" / "data.csc.index.npy", np.full_like(np.load(f / "lexical" / "data.csc.index.npy"), np.nan)
    ),
    "columns that run backwards": lambda f, _: np.save(
        f / "lexical" / "indptr.csc.index.npy", np.load(f / "lexical" / "indptr.csc.index.npy")[::-1].copy()
    ),
    "words without a column": lambda f, _: edit_json(
        f / "lexical" / "vocab.index.json", lambda said: dict.fromkeys(said, 10**9)
    ),
    "brackets for units": lambda f, _: (f / "units.json").write_text(DEEP),
    "brackets for clauses": lambda f, _: (f / "clauses.json").write_text(DEEP),
    "brackets for words": lambda f, _: (f / "lexical" / "vocab.index.json").write_text(DEEP),
    "a number of a million digits": lambda f, _: (f / "units.json").write_text(f"[[0, 0, {'9' * 1_000_000}]]"),
    "a large number": lambda f, _: edit_json(f / "units.json", lambda said: [[0, 0, 10**30], *said[1:]]),
    "a unit of no clause": lambda f, _: edit_json(f / "units.json", lambda said: [*said[:-1], [99, 0, 1]]),
    "a unit that is no number": lambda f, _: edit_json(f / "units.json", lambda said: [*said[:-1], [True, 0, 1]]),
    "a clause that stands elsewhere": lambda f, _: edit_json(f / "clauses.json", with_first(start=0, end=3)),
    "a clause that is not there": lambda f, _: edit_json(f / "clauses.json", with_first(text="您同意一切")),
    "a clause with a negative place": lambda f, _: edit_json(f / "clauses.json", with_first(start=-9)),
    "a clause with a field more": lambda f, _: edit_json(f / "clauses.json", with_first(__class__="x")),
    "a clause that hangs on nothing": lambda f, _: edit_json(f / "clauses.json", with_first(lead_in="nowhere")),
    "no clauses": lambda f, _: (f / "clauses.json").write_text('{"a": 1}'),
    "a policy without a text": lambda f, _: edit_json(f / "policy.json", lambda said: {**said, "text": 7}),
    "a policy with a field more": lambda f, _: edit_json(f / "policy.json", lambda said: {**said, "x": 7}),
    "a policy that is a list": lambda f, _: (f / "policy.json").write_text("[]"),
}


@pytest.fixture
def index(tmp_path: Path) -> Path:
    build_index(POLICIES, tmp_path / "index", ENCODER)
    return tmp_path / "index"


def sign(out: Path, segment: str) -> None:
    """Name the files of a segment as they are now in a new generation: every checksum is right."""
    manifest = read_manifest(out)
    files = hash_files(out / "segments" / segment)
    changed = [replace(one, files=files) if one.segment == segment else one for one in manifest.versions]
    write_generation(out, replace(manifest, versions=tuple(changed)))


def use(generation: Generation) -> None:
    query = ENCODER.encode_queries(["手机号码"]).vectors[0]
    for segment in generation.segments:
        segment.unit_scores(query)
        for word in ("手机号码", "注销"):
            segment.lexical.matches(word)


@pytest.mark.parametrize("held", [32 << 20, 0], ids=["in memory", "mapped"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_segment_that_is_not_what_it_must_be_is_refused_and_runs_nothing(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, held: int
) -> None:
    monkeypatch.setattr("index.reader.HELD_BYTES", held)
    monkeypatch.chdir(tmp_path)
    segment = read_manifest(index).current[0].segment
    HOSTILE[name](index / "segments" / segment, tmp_path / "harm")
    sign(index, segment)
    tracemalloc.start()
    try:
        with pytest.raises(IndexMismatchError, match="wentiao index repair"):
            use(open_generation(index, ENCODER.fingerprint))
        examine_index(index)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["objects for vectors", "brackets for units", "words of a petabyte"])
def test_a_repair_makes_such_a_segment_anew_from_its_text(index: Path, tmp_path: Path, name: str) -> None:
    segment = read_manifest(index).current[0].segment
    HOSTILE[name](index / "segments" / segment, tmp_path / "harm")
    sign(index, segment)
    assert mend_index(index, ENCODER) == ()
    generation = open_generation(index, ENCODER.fingerprint)
    use(generation)
    assert [one.policy for one in generation.segments] == POLICIES
    assert not (tmp_path / "harm").exists()


# -- hostile manifests


def forge(out: Path, content: bytes) -> None:
    """Make ``content`` the current manifest, under the name that it must have."""
    name = hashlib.sha256(content).hexdigest()
    (out / "generations" / f"{name}.json").write_bytes(content)
    (out / "CURRENT").write_text(f"{name}\n")


def version_with(**changed: object) -> Callable[[dict[str, Any]], object]:
    return lambda said: {**said, "versions": [{**said["versions"][0], **changed}, *said["versions"][1:]]}


FORGED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a segment above": version_with(segment="../../../../etc"),
    "an absolute segment": version_with(segment="/etc"),
    "a segment with an end of line": version_with(segment="0" * 32 + "\n"),
    "a file above": version_with(files={"../../../../etc/passwd": "0" * 64}),
    "an absolute file": version_with(files={"/etc/passwd": "0" * 64}),
    "files that are a list": version_with(files=[1]),
    "a number for an app": version_with(app=7),
    "a negative number of units": version_with(units=-1),
    "a truth for a number of units": version_with(units=True),
    "a number of units with 5,000 digits": lambda said: said,
    "aliases that are numbers": version_with(aliases=[1, 2]),
    "a field more": version_with(evil="x"),
    "no versions": lambda said: {**said, "versions": 3},
    "no record": lambda said: [said],
    "a maker that is a list": lambda said: {**said, "made_by": [1]},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_manifest_that_leads_out_of_the_index_or_is_none_is_refused(index: Path, name: str) -> None:
    said = json.loads((index / "generations" / f"{(index / 'CURRENT').read_text().strip()}.json").read_bytes())
    content = json.dumps(FORGED[name](said)).encode()
    if "digits" in name:
        content = re.sub(rb'"units": \d+', b'"units": ' + b"9" * 5000, content, count=1)
        assert b"9" * 5000 in content
    forge(index, content)
    with pytest.raises(IndexMismatchError, match="wentiao index repair"):
        open_generation(index, ENCODER.fingerprint)


@pytest.mark.parametrize("content", [DEEP.encode(), b'{"a":' * 100_000, b"\xff\xfe", b"null", b"9" * 100_000])
def test_a_manifest_that_is_a_bomb_is_refused(index: Path, content: bytes) -> None:
    forge(index, content)
    with pytest.raises(IndexMismatchError, match="wentiao index repair"):
        open_generation(index, ENCODER.fingerprint)


@pytest.mark.parametrize("named", ["../../../../etc/passwd", "/etc/passwd", "a" * 10_000_000, "..", "\0" * 64])
def test_a_current_or_a_snapshot_that_names_no_generation_is_refused(index: Path, named: str) -> None:
    take_snapshot(index, "now")
    (index / "snapshots" / "now").write_text(named)
    with pytest.raises(IndexMismatchError, match="wentiao corpus forget now"):
        restore_snapshot(index, "now", ENCODER)
    (index / "CURRENT").write_text(named)
    with pytest.raises(IndexMismatchError, match="wentiao index repair") as raised:
        open_generation(index, ENCODER.fingerprint)
    assert "root:" not in str(raised.value) and len(str(raised.value)) < 1000


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "..", "", "a\\b\n"])
def test_a_snapshot_whose_name_is_a_path_is_none(index: Path, name: str) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        restore_snapshot(index, name, ENCODER)


@pytest.mark.parametrize("linked", ["segment", "file"])
def test_a_link_out_of_the_index_is_not_followed(index: Path, tmp_path: Path, linked: str) -> None:
    folder = index / "segments" / read_manifest(index).current[0].segment
    path = folder if linked == "segment" else folder / "policy.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IndexMismatchError, match="wentiao index repair"):
        open_generation(index, ENCODER.fingerprint)


# -- what finds units near a query


def test_a_forged_inverted_file_is_not_read(tmp_path: Path) -> None:
    chooser = np.random.default_rng(3)
    vectors: dict[str, Floats] = {
        f"{n:032x}": unit_rows(chooser.normal(size=(40, 8)).astype(np.float32)) for n in range(4)
    }
    ApproximateUnits.build({name: 40 for name in vectors}, vectors.__getitem__).save(tmp_path)
    [path] = tmp_path.glob("*.faiss")
    whole, sizes = path.read_bytes(), {name: 40 for name in vectors}
    query = vectors[f"{0:032x}"][0]
    places = random.Random(5)
    refused = 0
    header = [*range(110), *range(len(whole) - 160 * 16 - 700, len(whole) - 160 * 16)]
    for number in range(300):
        at = places.choice(header) if number % 3 else places.randrange(len(whole))
        content = bytearray(whole)
        content[at : at + 8] = places.choice((b"\xff" * 8, b"\x00" * 8, b"\x7f" + b"\xff" * 7, places.randbytes(8)))
        for one in tmp_path.iterdir():
            one.unlink()
        record = json.dumps({"sha256": hashlib.sha256(content).hexdigest(), "segments": sizes}).encode()
        name = hashlib.sha256(record).hexdigest()
        (tmp_path / f"{name}.json").write_bytes(record)
        (tmp_path / f"{name}.faiss").write_bytes(content)
        loaded = ApproximateUnits.load(tmp_path)
        refused += loaded is None
        if loaded is not None:  # a code or a vector is another: what is found is scored with the true ones
            for found in loaded.search(query, 5, sizes, vectors.__getitem__):
                assert found.score == float(vectors[found.segment][found.unit] @ query)
    assert refused > 100


# -- models


def lying_safetensors(path: Path, header: bytes, size: int | None = None) -> None:
    path.write_bytes((len(header) if size is None else size).to_bytes(8, "little") + header + b"\0" * 64)


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (b'{"a.scales":{"dtype":"F16","shape":[1000000000000],"data_offsets":[0,2000000000000]}}', None),
        (b'{"a.scales":{"dtype":"F16","shape":[4],"data_offsets":[0,1000]}}', None),
        (b'{"a.scales":{"dtype":"F16","shape":[4],"data_offsets":[56,64]}}', None),
        (b"{}", 2**63),
        (b"[" * 100_000, None),
        (b"", 0),
    ],
)
def test_a_safetensors_file_whose_header_lies_is_refused(tmp_path: Path, header: bytes, size: int | None) -> None:
    path = tmp_path / "difference.safetensors"
    lying_safetensors(path, header, size)
    with pytest.raises(ValueError, match="is no safetensors file"):
        apply_difference({"a": np.zeros(64, np.float32)}, path)


def test_an_array_is_read_as_numpy_wrote_it(tmp_path: Path) -> None:
    for array in (np.arange(12, dtype=np.float32).reshape(3, 4), np.empty((0, 5), np.float32)):
        np.save(tmp_path / "a.npy", array)
        for mapped in (False, True):
            np.testing.assert_array_equal(read_array(tmp_path / "a.npy", "<f4", 2, mapped=mapped), array)


def model_with(folder: Path, marker: Path, harm: str) -> None:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    kind = "sentence_transformers.models.Transformer"
    code = f"import os\nos.mkdir({str(marker)!r})\nclass Own:\n    pass\n"
    (folder / "own.py").write_text(code)
    if harm == "a module of its own":
        kind = "own.Own"
    elif harm == "a module of another package":
        kind = "os.Own"
    elif harm == "code for the architecture":
        (folder / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoModel": "own.Own"}}')
    elif harm == "code for the tokenizer":
        (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["own.Own", null]}}')
    elif harm == "a pickle":
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(marker)))
    elif harm == "a pickle further down":
        (folder / "2_Dense").mkdir()
        (folder / "model.safetensors").write_bytes(b"")
        (folder / "2_Dense" / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(marker)))
    elif harm == "brackets":
        (folder / "config.json").write_text(DEEP)
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": kind}]))


@pytest.mark.parametrize(
    "harm",
    [
        "a module of its own",
        "a module of another package",
        "code for the architecture",
        "code for the tokenizer",
        "a pickle",
        "a pickle further down",
        "brackets",
    ],
)
def test_a_model_that_brings_code_or_a_pickle_is_refused(tmp_path: Path, harm: str) -> None:
    model_with(tmp_path / "model", tmp_path / "harm", harm)
    with pytest.raises(IndexMismatchError, match="unset WENTIAO_MODEL"):
        load_encoder(tmp_path / "model")
    assert not (tmp_path / "harm").exists()


def test_a_dictionary_of_words_that_somebody_left_in_the_temporary_folder_is_not_read(tmp_path: Path) -> None:
    import marshal

    hostile = tmp_path / "jieba.cache"
    hostile.write_bytes(marshal.dumps(({"注": 10**6, "销账": 10**9}, 10**9)))
    os.utime(hostile, (2**31, 2**31))  # newer than the dictionary, so that jieba would take it
    held = hostile.read_bytes()
    told = subprocess.run(
        [sys.executable, "-c", "from corpus.words import cut_words; print(*cut_words('如何注销账号'), sep='/')"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "如何/注销账号"
    assert hostile.read_bytes() == held and list(tmp_path.iterdir()) == [hostile]
