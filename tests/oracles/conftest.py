"""Other people's libraries, optional: a test that lacks one is skipped and says which."""

import importlib
import warnings

import pytest


@pytest.fixture
def library():
    """Import a module of the extra `peers`, or skip by name; its own warnings are not ours."""

    def load(name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return importlib.import_module(name)
            except ImportError as error:
                pytest.skip(
                    f"NOT CROSS-CHECKED: {name} is missing ({error}); pip install '.[peers]'"
                )

    return load
