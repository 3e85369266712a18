"""``wentiao index build`` and what comes before a server starts: the index made from folders of policies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from corpus.messages import message
from web.cli import ProgressBar
from web.settings import Settings


def build_index(settings: Settings, policies: Sequence[Path], out: Path | None) -> str:
    """Build an index of folders of policies, without a folder the default one; return what to tell the operator."""
    from corpus.load import default_policies_folder, load_policies
    from index.encoder import load_encoder
    from index.store import build_index, default_index_folder, open_default, publish, read_versions

    encoder = load_encoder(settings.model)
    folder = out or settings.index
    if folder is None:
        if policies:
            raise ValueError(message("cli.index_where", settings.language))
        with ProgressBar() as progress:
            generation = open_default(encoder, progress=progress)
        publish(default_index_folder(), settings.store)
        return message("cli.indexed", settings.language, count=len(generation.current), out=default_index_folder())
    before = dict.fromkeys(one.app for one in read_versions(folder) if one.is_current)
    try:
        loaded = load_policies(policies or [default_policies_folder()])
        with ProgressBar() as progress:
            build_index(loaded, folder, encoder, progress=progress)
    except ValueError as error:
        raise ValueError(f"{error}\n{message('cli.index_unbuilt', settings.language, out=folder)}") from error
    apps = {policy.app for policy in loaded}
    gone = [app for app in before if app not in apps]
    publish(folder, settings.store)
    told = message("cli.indexed", settings.language, count=len(loaded), out=folder)
    return f"{told}\n{message('cli.index_without', settings.language, apps='、'.join(gone))}" if gone else told


def prepare_index(settings: Settings) -> None:
    """Make sure that the default index is there, where the settings name no other."""
    from index.encoder import load_encoder
    from index.store import open_default

    if settings.index is None:
        with ProgressBar() as progress:
            open_default(load_encoder(settings.model), progress=progress)
