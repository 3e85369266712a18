import doctest
import importlib
import pkgutil

import pytest

PACKAGES = ("corpus", "index", "retrieval", "web", "evaluation", "training")
MODULES = [
    f"{package}.{module.name}"
    for package in PACKAGES
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__)
    if module.name not in ("__main__", "chat", "encoder")  # these bring Gradio or torch, and hold no examples
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_give_what_they_print(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
