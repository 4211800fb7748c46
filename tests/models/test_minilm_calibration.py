"""Calibrating MiniLM on code or on prose, scored on code that was not read."""

from __future__ import annotations

import pytest

from workbench import models
from workbench.studies.calibration_study import (
    calibration_study,
    code_text,
    error_of,
    mixture,
    prose_text,
)

pytestmark = pytest.mark.real
QUERY, READ, SCORED = "encoder.layer.2.attention.self.query", 3072, 1024


@pytest.fixture(scope="module")
def rows(fetched):
    model = models.open_model(fetched("minilm"))
    (code, apart), (prose, _) = code_text(), prose_text()
    read = {"code": code, "prose": prose, "mix": mixture(model, [code, prose], READ, 64)}
    return calibration_study(model, read, {"code": apart}, names=[QUERY], tokens=READ,
                             scored=SCORED)  # fmt: skip


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_code_is_better_for_code(rows, bits):
    assert READ >= 4 * 384
    code, prose, mix = (
        error_of(rows, calibration=one, bits=bits, solver="gptq")
        for one in ("code", "prose", "mix")
    )
    nearest = error_of(rows, calibration="code", bits=bits, solver="nearest")
    assert code <= 0.6 * prose
    assert prose < nearest
    assert code < mix <= 1.2 * code
