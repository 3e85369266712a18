"""What ``python -m evaluation rivals`` compares with: five stores behind one pair of functions, and three splitters.

Each is built and asked as its documentation shows it, defaults where nothing is said. Packages are imported by name and
stay untyped, since neither the gate nor the tests have them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.baselines import load_splitters
from evaluation.questions import Span

Floats = NDArray[np.float32]
Search = Callable[[str, str], list[Span]]  # question, app -> where the best chunks stand in the app's policy
Splitter = Callable[[str], list[Span]]

DEPTH = 10  # chunks a question
DIMENSION = 384  # of the encoder; a FAISS index wants it before the first vector


@dataclass(frozen=True)
class Chunk:
    """A piece of a policy: ``policy.text[start:end] == text``."""

    app: str
    start: int
    end: int
    text: str


class Embedding(Protocol):
    """What a library gets as its embedding function."""

    def passages(self, texts: Sequence[str]) -> Floats:
        """Return float32 of shape (texts, dimension)."""
        ...

    def query(self, text: str) -> Floats:
        """Return float32 of shape (dimension,)."""
        ...


@dataclass(frozen=True)
class System:
    """One of the compared.

    :ivar package: whose version the table names.
    :ivar modules: imported before the clock runs.
    :ivar splitter: one of ``SPLITTERS``.
    :ivar one_app: how it keeps to one app, for the table.
    """

    package: str
    modules: tuple[str, ...]
    splitter: str
    build: Callable[[Sequence[Chunk], Path, Embedding], None]
    open: Callable[[Path, Embedding], Search]
    one_app: str


def _langchain_embedding(embedding: Embedding) -> object:
    base = import_module("langchain_core.embeddings").Embeddings

    class Ours(base):  # type: ignore[misc, valid-type]
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = embedding.passages(texts).tolist()
            return vectors

        def embed_query(self, text: str) -> list[float]:
            vector: list[float] = embedding.query(text).tolist()
            return vector

    return Ours()


def _build_langchain(chunks: Sequence[Chunk], folder: Path, embedding: Embedding) -> None:
    store = import_module("langchain_community.vectorstores").FAISS
    texts = [chunk.text for chunk in chunks]
    kept = [{"app": chunk.app, "start": chunk.start, "end": chunk.end} for chunk in chunks]
    store.from_texts(texts, _langchain_embedding(embedding), kept).save_local(str(folder))


def _open_langchain(folder: Path, embedding: Embedding) -> Search:
    store = import_module("langchain_community.vectorstores").FAISS.load_local(
        str(folder), _langchain_embedding(embedding), allow_dangerous_deserialization=True
    )
    count = store.index.ntotal

    def search(question: str, app: str) -> list[Span]:
        # It filters what FAISS returned: by default 20 chunks of all apps, of which few or none are the app's.
        found = store.similarity_search(question, k=DEPTH, filter={"app": app}, fetch_k=count)
        return [(one.metadata["start"], one.metadata["end"]) for one in found]

    return search


def _llama_embedding(embedding: Embedding) -> object:
    base = import_module("llama_index.core.embeddings").BaseEmbedding

    class Ours(base):  # type: ignore[misc, valid-type]
        def _get_query_embedding(self, query: str) -> list[float]:
            vector: list[float] = embedding.query(query).tolist()
            return vector

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            vectors: list[list[float]] = embedding.passages(texts).tolist()
            return vectors

    return Ours()


def _build_llama(chunks: Sequence[Chunk], folder: Path, embedding: Embedding) -> None:
    core, faiss = import_module("llama_index.core"), import_module("faiss")
    store = import_module("llama_index.vector_stores.faiss").FaissVectorStore
    node = import_module("llama_index.core.schema").TextNode
    model, apps = _llama_embedding(embedding), []
    for number, (app, own) in enumerate(groupby(chunks, key=lambda chunk: chunk.app)):
        nodes = [node(text=chunk.text, start_char_idx=chunk.start, end_char_idx=chunk.end) for chunk in own]
        context = core.StorageContext.from_defaults(vector_store=store(faiss_index=faiss.IndexFlatL2(DIMENSION)))
        index = core.VectorStoreIndex(nodes, storage_context=context, embed_model=model)
        index.storage_context.persist(str(folder / str(number)))
        apps.append(app)
    (folder / "apps.json").write_text(json.dumps(apps), encoding="utf-8")


def _open_llama(folder: Path, embedding: Embedding) -> Search:
    core = import_module("llama_index.core")
    store = import_module("llama_index.vector_stores.faiss").FaissVectorStore
    model = _llama_embedding(embedding)
    retrievers = {}
    for number, app in enumerate(json.loads((folder / "apps.json").read_text(encoding="utf-8"))):
        own = str(folder / str(number))
        context = core.StorageContext.from_defaults(vector_store=store.from_persist_dir(own), persist_dir=own)
        index = core.load_index_from_storage(context, embed_model=model)
        retrievers[app] = index.as_retriever(similarity_top_k=DEPTH)

    def search(question: str, app: str) -> list[Span]:
        found = retrievers[app].retrieve(question)
        return [(one.node.start_char_idx, one.node.end_char_idx) for one in found]

    return search


def _txtai_transform(embedding: Embedding) -> Callable[[list[str]], Floats]:
    def transform(texts: list[str]) -> Floats:
        # Which side a text is of stands in the instruction before it.
        if texts[0].startswith("query: "):
            return np.stack([embedding.query(text.removeprefix("query: ")) for text in texts])
        return embedding.passages([text.removeprefix("passage: ") for text in texts])

    return transform


def _build_txtai(chunks: Sequence[Chunk], folder: Path, embedding: Embedding) -> None:
    settings = {
        "method": "external",
        "transform": _txtai_transform(embedding),
        "instructions": {"query": "query: ", "data": "passage: "},
        "content": True,
        # Above 5,000 vectors its default is approximate, and the filter comes after: it loses what an app has.
        "faiss": {"components": "IDMap,Flat"},
    }
    store = import_module("txtai").Embeddings(settings)
    store.index((number, asdict(chunk), None) for number, chunk in enumerate(chunks))
    store.save(str(folder))
    store.close()


def _open_txtai(folder: Path, embedding: Embedding) -> Search:
    store = import_module("txtai").Embeddings()
    store.load(str(folder), config={"transform": _txtai_transform(embedding)})
    # It filters what the vectors returned, ten times the limit by default; so all of them are candidates.
    query = (
        f"select start, end, score from txtai where similar(:question, {store.count()}) and app = :app limit {DEPTH}"
    )

    def search(question: str, app: str) -> list[Span]:
        found = store.search(query, parameters={"question": question, "app": app})
        return [(int(one["start"]), int(one["end"])) for one in found]

    return search


def _lance_embedding(embedding: Embedding) -> object:
    embeddings = import_module("lancedb.embeddings")

    class Ours(embeddings.EmbeddingFunction):  # type: ignore[misc, name-defined]
        def ndims(self) -> int:
            return DIMENSION

        def compute_query_embeddings(self, query: str, *_: object, **__: object) -> list[Floats]:
            return [embedding.query(query)]

        def compute_source_embeddings(self, texts: object, *_: object, **__: object) -> list[Floats]:
            return list(embedding.passages(self.sanitize_input(texts)))

    return embeddings.register("ours")(Ours).create()


def _build_lance(chunks: Sequence[Chunk], folder: Path, embedding: Embedding) -> None:
    lancedb, pyarrow = import_module("lancedb"), import_module("pyarrow")
    hook = import_module("lancedb.embeddings").EmbeddingFunctionConfig(
        source_column="text", vector_column="vector", function=_lance_embedding(embedding)
    )
    table = pyarrow.Table.from_pylist([asdict(chunk) for chunk in chunks])
    lancedb.connect(str(folder)).create_table("chunks", table, embedding_functions=[hook])


def _open_lance(folder: Path, embedding: Embedding) -> Search:
    _lance_embedding(embedding)  # registered by name, for the table to find
    table = import_module("lancedb").connect(str(folder)).open_table("chunks")

    def search(question: str, app: str) -> list[Span]:
        quoted = app.replace("'", "''")
        found = table.search(question, query_type="vector").where(f"app = '{quoted}'").limit(DEPTH).to_list()
        return [(one["start"], one["end"]) for one in found]

    return search


def _chroma_collection(folder: Path, embedding: Embedding) -> tuple[Any, Any]:
    chromadb = import_module("chromadb")
    base = chromadb.EmbeddingFunction

    class Ours(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            """Nothing to keep."""

        def __call__(self, input: list[str]) -> list[Floats]:
            return list(embedding.passages(input))

        def embed_query(self, input: list[str]) -> list[Floats]:
            return [embedding.query(text) for text in input]

        @staticmethod
        def name() -> str:
            return "ours"

        def get_config(self) -> dict[str, object]:
            return {}

        @staticmethod
        def build_from_config(config: dict[str, object]) -> object:
            return Ours()

    client = chromadb.PersistentClient(str(folder), chromadb.Settings(anonymized_telemetry=False))
    return client, client.get_or_create_collection("chunks", embedding_function=Ours())


def _build_chroma(chunks: Sequence[Chunk], folder: Path, embedding: Embedding) -> None:
    client, collection = _chroma_collection(folder, embedding)
    most = client.get_max_batch_size()
    for first in range(0, len(chunks), most):
        block = chunks[first : first + most]
        collection.add(
            ids=[str(first + number) for number in range(len(block))],
            documents=[chunk.text for chunk in block],
            metadatas=[{"app": chunk.app, "start": chunk.start, "end": chunk.end} for chunk in block],
        )


def _open_chroma(folder: Path, embedding: Embedding) -> Search:
    _, collection = _chroma_collection(folder, embedding)

    def search(question: str, app: str) -> list[Span]:
        found = collection.query(query_texts=[question], n_results=DEPTH, where={"app": app})
        return [(one["start"], one["end"]) for one in found["metadatas"][0]]

    return search


SYSTEMS: Mapping[str, System] = {
    "LlamaIndex, FAISS": System(
        "llama-index-core",
        ("llama_index.core", "llama_index.vector_stores.faiss"),
        "LlamaIndex",
        _build_llama,
        _open_llama,
        "one index an app: its FAISS store refuses filters",
    ),
    "LangChain, FAISS": System(
        "langchain-community",
        ("langchain_community.vectorstores.faiss", "faiss"),
        "LangChain",
        _build_langchain,
        _open_langchain,
        "`filter` after the search, of all chunks (`fetch_k`)",
    ),
    "txtai": System(
        "txtai", ("txtai",), "txtai", _build_txtai, _open_txtai, "SQL `where` after an exact search, of all chunks"
    ),
    "LanceDB": System(
        "lancedb", ("lancedb.embeddings",), "LangChain", _build_lance, _open_lance, "`where` before the search"
    ),
    "Chroma": System("chromadb", ("chromadb",), "LangChain", _build_chroma, _open_chroma, "`where` in the search"),
}
SPLITTERS = {
    "LlamaIndex": "LlamaIndex SentenceSplitter()",
    "LangChain": "LangChain, 500 characters, 50 shared",
    "txtai": "txtai, paragraphs",
}
"""By short name; the first two are those of ``evaluation.baselines``. LangChain's default of 4,000 characters would be
cut off by the model at 512 tokens."""


def locate(text: str, pieces: Iterable[str]) -> list[Span]:
    """Return where ``pieces`` stand in ``text``, each behind the one before, white space around them left out.

    >>> locate("甲。\\n\\n 乙 \\n\\n甲。", ["甲。", " 乙 ", "甲。"])
    [(0, 2), (5, 6), (9, 11)]
    """
    spans, place = [], 0
    for piece in map(str.strip, pieces):
        if piece:
            start = text.index(piece, place)
            place = start + len(piece)
            spans.append((start, place))
    return spans


def load_splitter(name: str) -> Splitter:
    """Return one of ``SPLITTERS``."""
    if name != "txtai":
        return load_splitters()[SPLITTERS[name]]
    segmentation = import_module("txtai.pipeline").Segmentation(paragraphs=True, cleantext=False)
    return lambda text: locate(text, segmentation(text))
